// The three catalogues must hold the same keys, each with the same {placeholders}, and no empty text.
import { readFileSync } from "node:fs";

const LANGUAGES = ["en", "kk", "ru"];
const read = (language) => JSON.parse(readFileSync(new URL(`../src/i18n/${language}.json`, import.meta.url), "utf8"));
const placeholders = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort().join(" ");

const catalogues = Object.fromEntries(LANGUAGES.map((language) => [language, read(language)]));
const keys = new Set(LANGUAGES.flatMap((language) => Object.keys(catalogues[language])));
const problems = [];
for (const key of keys) {
  for (const language of LANGUAGES) {
    const text = catalogues[language][key];
    if (typeof text !== "string" || text.trim() === "") problems.push(`${language}: no text for ${key}`);
    else if (placeholders(text) !== placeholders(catalogues.en[key] ?? "")) problems.push(`${language}: other {} in ${key}`);
  }
}
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
console.log(`catalogues: ${LANGUAGES.join(", ")} agree on ${keys.size} texts`);
