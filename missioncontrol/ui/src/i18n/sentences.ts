/** What the service says is English with its values filled in; here it is said in the language of the console. */

export type Catalogue = Record<string, string>;

interface Template {
  /** What stands around the holes; one more than there are holes. */
  literals: string[];
  translation: string;
}

/** Longer texts are no sentences. */
const MOST_CHARACTERS = 2000;
/** So deep are sentences in the holes of others. */
const MOST_DEEP = 8;
const MOST_KEPT = 500;
const NEXT = "; ";
/** What may stand between two sentences of one text; but for the first of them it also stands within sentences. */
const SEPARATORS = [NEXT, ", ", ": "];

const HOLES = /\{(\d+)\}/g;
const crosses = (literals: string[]): boolean => literals.some((literal) => literal.includes(NEXT));
/** Templates that reach over several sentences come first, those that begin with a hole last; the longer before the shorter. */
const rank = ({ literals }: Template): number =>
  literals.reduce((sum, literal) => sum + literal.length, 0) + (crosses(literals) ? 2000 : literals[0] === "" ? 0 : 1000);
const endsAt = (text: string, at: number): boolean =>
  at === text.length || SEPARATORS.some((separator) => text.startsWith(separator, at));

/** The holes of a text that begins with a template, and where that ends; null if it does not. Every literal is looked
 * for once, from the left, and never again: the time grows with the text and no more. */
function fit(text: string, literals: string[]): { holes: string[]; end: number } | null {
  const [first = "", ...others] = literals;
  if (!text.startsWith(first)) return null;
  const holes: string[] = [];
  let end = first.length;
  for (const [n, literal] of others.entries()) {
    const last = n === others.length - 1;
    let at = last && literal === "" ? text.length : text.indexOf(literal, end);
    while (last && at >= 0 && !endsAt(text, at + literal.length)) at = text.indexOf(literal, at + 1);
    if (at < 0) return null;
    holes.push(text.slice(end, at));
    end = at + literal.length;
  }
  if (first === "" && !crosses(literals) && (holes[0]?.includes(NEXT) || holes[0]?.includes(": "))) return null;
  return endsAt(text, end) ? { holes, end } : null;
}

/** The sentences of one language. */
export class Sentences {
  private readonly templates: Template[];
  private readonly kept = new Map<string, string | null>();

  constructor(catalogue: Catalogue) {
    this.templates = Object.entries(catalogue)
      .map(([template, translation]) => ({ literals: template.split(/\{\d+\}/), translation }))
      .sort((a, b) => rank(b) - rank(a));
  }

  /** A text of the service in this language; null where it says nothing that is known. */
  translated(text: string): string | null {
    if (text.length > MOST_CHARACTERS) return null;
    if (this.kept.size > MOST_KEPT) this.kept.clear();
    return this.found(text, 0);
  }

  private found(text: string, depth: number): string | null {
    return depth > MOST_DEEP ? null : (this.fitted(text, depth) ?? this.parted(text, depth));
  }

  /** By the first template that the text begins with. */
  private fitted(text: string, depth: number): string | null {
    const before = this.kept.get(text);
    if (before !== undefined) return before;
    let said: string | null = null;
    for (const { literals, translation } of this.templates) {
      const fits = fit(text, literals);
      const rest = fits === null ? null : this.rest(text, fits.end, depth);
      if (fits === null || rest === null) continue;
      const holes = fits.holes.map((hole) => this.found(hole, depth + 1) ?? hole);
      said = translation.replace(HOLES, (_, n: string) => holes[Number(n)] ?? "") + rest;
      break;
    }
    this.kept.set(text, said);
    return said;
  }

  /** What follows a sentence: nothing, or others. Null where it may be the same sentence that goes on. */
  private rest(text: string, end: number, depth: number): string | null {
    if (end === text.length) return "";
    const separator = text.slice(end, end + 2);
    const rest = text.slice(end + 2);
    const found = separator === NEXT ? (this.found(rest, depth) ?? rest) : this.fitted(rest, depth);
    return found === null ? null : separator + found;
  }

  /** A text that begins with a sentence that is not known, with a name and a colon, or ends with a remark in brackets. */
  private parted(text: string, depth: number): string | null {
    for (const separator of [NEXT, ": ", " ("]) {
      const at = text.indexOf(separator);
      if (at < 0) continue;
      const [head, rest] = [text.slice(0, at), text.slice(at + 2)];
      const before = separator === ": " ? null : this.found(head, depth + 1);
      const after = separator === " (" ? null : this.found(rest, depth + 1);
      return before === null && after === null ? null : (before ?? head) + separator + (after ?? rest);
    }
    return null;
  }
}

const CATALOGUES = {
  kk: () => import("./sentences.kk.json"),
  ru: () => import("./sentences.ru.json"),
  en: () => null,
};
let wanted: keyof typeof CATALOGUES = "en";
let spoken: Sentences | null = null;

/** Loads what a language needs; English needs nothing, for the service speaks it. */
export async function speak(language: keyof typeof CATALOGUES): Promise<void> {
  wanted = language;
  const catalogue = await CATALOGUES[language]();
  if (wanted === language) spoken = catalogue && new Sentences(catalogue.default);
}

/** A text of the service in the language of the console; as it came where no template fits. */
export const sentence = (text: string): string => spoken?.translated(text) ?? text;
