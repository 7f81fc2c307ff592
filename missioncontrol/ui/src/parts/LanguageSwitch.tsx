import { LANGUAGE_NAMES, LANGUAGES, useWords } from "../i18n";

export function LanguageSwitch() {
  const { language, setLanguage, t } = useWords();
  return (
    <div className="languages" role="group" aria-label={t("header.language")}>
      {LANGUAGES.map((each) => (
        <button
          key={each}
          type="button"
          lang={each}
          title={LANGUAGE_NAMES[each]}
          aria-pressed={each === language}
          onClick={() => setLanguage(each)}
        >
          {each}
        </button>
      ))}
    </div>
  );
}
