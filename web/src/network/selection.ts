// What is selected and which panels are open: the same for the canvas, the toolbar and the panels.

import { create } from "zustand";

export type Selected =
  | { kind: "nothing" }
  | { kind: "node"; id: string }
  | { kind: "nodes"; ids: string[] }
  | { kind: "edge"; key: string }
  | { kind: "group"; name: string };

interface View {
  selected: Selected;
  isAdding: boolean;
  isTextOpen: boolean;
  search: string;
}

export const useView = create<View>(() => ({
  selected: { kind: "nothing" },
  isAdding: false,
  isTextOpen: false,
  search: "",
}));

export function select(selected: Selected) {
  useView.setState({ selected, isAdding: false });
}
