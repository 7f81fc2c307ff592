/** Buttons that know why they are off, a modal dialog, progress bars. */
import { useEffect, useId, useRef, useState, type ButtonHTMLAttributes, type ReactNode } from "react";
import { useWords } from "../i18n";

interface ActionProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "disabled"> {
  /** Why the button does nothing now; null when it works. It stays focusable so that the reason can be read. */
  blocked?: string | null;
  busy?: boolean;
  look?: "primary" | "danger" | "plain" | "normal";
}

export function Action({ blocked = null, busy = false, look = "normal", onClick, title, ...rest }: ActionProps) {
  const off = blocked !== null || busy;
  return (
    <button
      type="button"
      {...rest}
      className={`${look} ${rest.className ?? ""}`}
      aria-disabled={off}
      aria-busy={busy}
      title={blocked ?? title}
      onClick={(event) => {
        if (off) event.preventDefault();
        else onClick?.(event);
      }}
    />
  );
}

interface DialogProps {
  title: string;
  children: ReactNode;
  onClose: () => void;
  wide?: boolean;
}

/** A modal dialog; Escape closes it. */
export function Dialog({ title, children, onClose, wide = false }: DialogProps) {
  const dialog = useRef<HTMLDialogElement | null>(null);
  const name = useId();
  useEffect(() => {
    const box = dialog.current;
    if (box !== null && !box.open) box.showModal();
  }, []);
  return (
    <dialog ref={dialog} className={wide ? "wide" : ""} aria-labelledby={name} onClose={onClose} onCancel={onClose}>
      <h2 id={name}>{title}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  action: string;
  danger?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

export function Confirm({ title, text, action, danger = false, onConfirm, onClose }: ConfirmProps) {
  const { t } = useWords();
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{text}</p>
      <div className="row end">
        <Action onClick={onClose} autoFocus>
          {t("action.cancel")}
        </Action>
        <Action
          look={danger ? "danger" : "primary"}
          onClick={() => {
            onClose();
            onConfirm();
          }}
        >
          {action}
        </Action>
      </div>
    </Dialog>
  );
}

export function Bar({ fraction, colour, label }: { fraction: number; colour?: string; label: string }) {
  const percent = Math.round(Math.min(Math.max(fraction, 0), 1) * 100);
  return (
    <div className="bar" role="progressbar" aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100} aria-label={label}>
      <i style={{ width: `${percent}%`, background: colour }} />
    </div>
  );
}

/** Runs one request at a time and tells whether it is under way. */
export function useBusy(fail: (error: unknown) => void): [boolean, (work: () => Promise<void>) => void] {
  const [busy, setBusy] = useState(false);
  const run = (work: () => Promise<void>): void => {
    setBusy(true);
    work()
      .catch(fail)
      .finally(() => setBusy(false));
  };
  return [busy, run];
}
