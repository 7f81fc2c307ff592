/** What the service says, in the language of the console; what is not translated is marked as English. */
import { useWords } from ".";
import { sentence } from "./sentences";

const CYRILLIC = /\p{Script=Cyrillic}/u;

export function Said({ text }: { text: string }) {
  const { language } = useWords();
  const said = sentence(text);
  return language === "en" || CYRILLIC.test(said) ? said : <span lang="en">{said}</span>;
}
