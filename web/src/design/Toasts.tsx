import { create } from "zustand";

import { Button } from "./Button";

interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

const useToasts = create<{ toasts: Toast[] }>(() => ({ toasts: [] }));
let next = 1;

function dismiss(id: number) {
  useToasts.setState(({ toasts }) => ({ toasts: toasts.filter((toast) => toast.id !== id) }));
}

/** Says something that came of what somebody did. Failures stay until they are dismissed. */
export function toast(text: string, { bad = false }: { bad?: boolean } = {}) {
  const id = next++;
  // The same failure again is no news.
  useToasts.setState(({ toasts }) => ({
    toasts: [...toasts.filter((known) => known.text !== text), { id, text, bad }].slice(-4),
  }));
  if (!bad) setTimeout(() => dismiss(id), 4000);
}

export function Toasts() {
  const toasts = useToasts((state) => state.toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map((shown) => (
        <div key={shown.id} className={shown.bad ? "toast bad" : "toast"}>
          <p>{shown.text}</p>
          <Button small look="quiet" icon="close" label="Dismiss" onClick={() => dismiss(shown.id)} />
        </div>
      ))}
    </div>
  );
}
