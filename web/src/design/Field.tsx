import { useId, type ReactElement, type ReactNode, cloneElement } from "react";

interface Props {
  label: string;
  hint?: ReactNode;
  /** What is wrong with the value, in words. */
  wrong?: string | undefined;
  /** The control: an input, a select or a textarea. It is given the id and the description. */
  children: ReactElement<{ id?: string; "aria-describedby"?: string; "aria-invalid"?: boolean }>;
}

/** A control with its label, a hint, and what is wrong with it. */
export function Field({ label, hint, wrong, children }: Props) {
  const id = useId();
  const about = hint || wrong ? `${id}-about` : undefined;
  const given = about ? { id, "aria-describedby": about, "aria-invalid": Boolean(wrong) } : { id };
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, given)}
      {(wrong || hint) && (
        <span id={about} className={wrong ? "wrong" : "hint"}>
          {wrong ?? hint}
        </span>
      )}
    </div>
  );
}

/** On or off. */
export function Switch(props: { label: string; on: boolean; onChange: (on: boolean) => void; disabled?: boolean }) {
  return (
    <button
      type="button"
      role="switch"
      className="switch"
      aria-checked={props.on}
      aria-label={props.label}
      disabled={props.disabled}
      onClick={() => props.onChange(!props.on)}
    />
  );
}
