/** The fields of a pattern: numbers with their unit, choices, switches. */
import { useWords } from "../i18n";
import type { Field } from "./patterns";
import { filledIn, valueOf, type PlanDraft } from "./planDraft";

interface NumberFieldProps {
  label: string;
  unit: string;
  value: string;
  step?: number;
  least?: number;
  placeholder?: string;
  onChange: (value: string) => void;
}

export function NumberField({ label, unit, value, step = 1, least = 0, placeholder = "", onChange }: NumberFieldProps) {
  return (
    <label className="number">
      <span>{label}</span>
      <span className="with-unit">
        <input
          type="number"
          min={least}
          step={step}
          value={value}
          placeholder={placeholder}
          onChange={(event) => onChange(event.target.value)}
        />
        <i>{unit}</i>
      </span>
    </label>
  );
}

interface PatternFieldsProps {
  fields: readonly Field[];
  draft: PlanDraft;
  onChange: (change: Partial<PlanDraft>) => void;
}

export function PatternFields({ fields, draft, onChange }: PatternFieldsProps) {
  const { t } = useWords();
  return fields.map((field) => {
    const value = valueOf(draft, field);
    const label = t(`field.${field.name}`);
    const put = (next: string): void => onChange(filledIn(draft, field, next));
    switch (field.type) {
      case "number":
        return (
          <NumberField
            key={field.name}
            label={label}
            unit={t(`unit.name.${field.unit}`)}
            value={value}
            step={field.step ?? 1}
            least={field.least ?? 0}
            placeholder={field.optional === undefined ? "" : t(`plan.left.${field.optional}`)}
            onChange={put}
          />
        );
      case "choice":
        return (
          <label key={field.name}>
            {label}
            <select value={value} onChange={(event) => put(event.target.value)}>
              {field.choices.map((choice) => (
                <option key={choice} value={choice}>
                  {t(`choice.${choice}`)}
                </option>
              ))}
            </select>
          </label>
        );
      case "check":
        return (
          <label key={field.name} className="check">
            <input type="checkbox" checked={value === "true"} onChange={(event) => put(String(event.target.checked))} />
            {label}
          </label>
        );
    }
  });
}
