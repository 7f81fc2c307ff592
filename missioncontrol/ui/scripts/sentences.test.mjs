// How the console says what the service says: templates with holes, sentences in holes, texts of several sentences.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { runnerImport } from "vite";

const path = new URL("../src/i18n/sentences.ts", import.meta.url).pathname;
const { Sentences, sentence } = (await runnerImport(path)).module;
const catalogue = (language) => JSON.parse(readFileSync(new URL(`../src/i18n/sentences.${language}.json`, import.meta.url), "utf8"));
const few = new Sentences({
  "vehicle {0}: {1}": "борт {0}: {1}",
  "vehicle {0} is held by {1}": "бортом {0} управляет {1}",
  "vehicle {0} is held by {1}, not by {2}": "бортом {0} управляет {1}, не {2}",
  "pre-flight: {0}": "проверка: {0}",
  "GPS: {0}, at least {1}": "GPS: {0}, не менее {1}",
  "{0} satellites": "спутников: {0}",
  "link: {0}, two-way": "связь: {0}, двусторонняя",
  "its camera is not known": "камера неизвестна",
  "it is in the air, and those are not to be diverted": "он в воздухе",
  "{0} of {1} areas": "из {1} участков {0}",
  "{0}; it stands disarmed": "{0}; стоит",
});

test("holes are filled, in the order of the translation, and the longest template wins", () => {
  assert.equal(few.translated("vehicle 3 is held by anna"), "бортом 3 управляет anna");
  assert.equal(few.translated("vehicle 3 is held by anna, not by boris"), "бортом 3 управляет anna, не boris");
  assert.equal(few.translated("vehicle 3 is free"), null);
  assert.equal(few.translated("its camera is not known."), null);
  assert.equal(few.translated("2 of 5 areas"), "из 5 участков 2");
});

test("sentences in holes are said too, however deep; what is not known stays as it came", () => {
  assert.equal(
    few.translated("vehicle 1: pre-flight: GPS: 5 satellites, at least 8; link: lost, two-way"),
    "борт 1: проверка: GPS: спутников: 5, не менее 8; связь: lost, двусторонняя",
  );
  assert.equal(
    few.translated("link: lost, two-way; Crash: Disarming; link: lost, two-way"),
    "связь: lost, двусторонняя; Crash: Disarming; связь: lost, двусторонняя",
  );
  assert.equal(few.translated("link: lost, two-way; Crash"), "связь: lost, двусторонняя; Crash");
  assert.equal(few.translated("pre-flight: 5 satellites; it stands disarmed"), "проверка: спутников: 5; стоит");
});

test("reasons after a name, with commas between and within them", () => {
  assert.equal(
    few.translated("alpha: its camera is not known, it is in the air, and those are not to be diverted; beta: its camera is not known"),
    "alpha: камера неизвестна, он в воздухе; beta: камера неизвестна",
  );
  assert.equal(few.translated("its camera is not known, nor that of another"), null);
});

test("texts that are made to be slow are not", () => {
  const held = "vehicle 1 is held by a, not ".repeat(500);
  for (const text of [held, held.slice(0, 1900), "a: ".repeat(600), "; ".repeat(900), ", two-way".repeat(200), "link: ".repeat(300)]) {
    const sentences = new Sentences(catalogue("ru"));
    sentences.translated(text);
    assert.ok(sentences.kept.size <= text.length, text.slice(0, 30));
  }
});

test("what operators meet is said in Russian and Kazakh without a word of English", () => {
  const met = [
    "the name or the password is wrong",
    "nobody is named 'nobody'",
    "video of vehicle-1: frozen: the same picture for 5.9 s",
    "video of vehicle-1 is live again after 12 s",
    "lines 34 m apart instead of 37 m: slopes of this ground narrow the pictures",
    "no vehicle is fit to go: vehicle-1: it is in the air, and those are not to be diverted; vehicle-2: it was not heard for 12 s",
    "vehicle 2 needs 3 flights, with a change of battery between: 96 Wh usable",
    "control: held by operator, by administrator",
    "mission aboard: hash 1f5d0c9a8b7e, hash 56e1f00d1234, as approved",
    "low battery: return (BATT_FS_LOW_ACT 2), an action",
    "mission 17 was not started: vehicle 1: pre-flight: GPS: 5 satellites, at least 8; battery: 20 %, at least 60 % (35 % for the plan, 25 % in reserve)",
    "mission 17 is flying; only an approved one can be launched",
    "take-off: 143 m away, within 30 m of where the plan begins",
    "fence aboard: not read, the 2 areas of the plan",
    "wind: 12.1 m/s, at most 10 m/s",
    "lost link: continue after 5 s (NAV_DLL_ACT 0), return after 10 s, towards sysid 255",
    "aborted before take-off; it stands disarmed",
  ];
  const names = /vehicle-\d|[A-Z]+_\w+|administrator|operator|nobody'|GPS|sysid|[\da-f]{12}/g;
  for (const language of ["ru", "kk"]) {
    const sentences = new Sentences(catalogue(language));
    for (const text of met) {
      const said = sentences.translated(text);
      assert.ok(said !== null, `${language}: ${text}`);
      assert.doesNotMatch(said.replace(names, ""), /[A-Za-z]{2}/, `${language}: ${said}`);
    }
  }
});

test("without a language English is left as it came", () => {
  assert.equal(sentence("the name or the password is wrong"), "the name or the password is wrong");
});
