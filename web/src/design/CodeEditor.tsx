// The editor: CodeMirror, loaded when it is first shown. Always through React.lazy(() => import("../design/CodeEditor")).

import { autocompletion, closeBrackets, closeBracketsKeymap, type CompletionSource } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { javascript } from "@codemirror/lang-javascript";
import { json } from "@codemirror/lang-json";
import { python } from "@codemirror/lang-python";
import { rust } from "@codemirror/lang-rust";
import { yaml } from "@codemirror/lang-yaml";
import {
  bracketMatching,
  defaultHighlightStyle,
  HighlightStyle,
  indentOnInput,
  StreamLanguage,
  syntaxHighlighting,
} from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";

export interface EditorDiagnostic {
  severity: "error" | "warning";
  message: string;
  help?: string | null;
  /** Places in the text, as JavaScript counts. */
  start: number;
  end: number;
}

/** A word that may be written, and what it means. */
export interface EditorCompletion {
  label: string;
  info: string;
  /** What is put in. */
  apply: string;
}

interface Props {
  /** What it is, for screen readers. */
  label: string;
  language: string;
  value: string;
  readOnly?: boolean;
  diagnostics?: EditorDiagnostic[];
  completions?: EditorCompletion[];
  onChange?: (value: string) => void;
  /** Ctrl+Enter or Ctrl+S. */
  onSubmit?: () => void;
}

/** The .fbp language: nodes with components, arrows, packets, comments. */
const fbp = StreamLanguage.define<{ inPacket: boolean }>({
  name: "fbp",
  startState: () => ({ inPacket: false }),
  token(stream, state) {
    if (state.inPacket || stream.peek() === "'") {
      if (!state.inPacket) stream.next();
      state.inPacket = true;
      while (!stream.eol()) {
        const next = stream.next();
        if (next === "\\") stream.next();
        else if (next === "'") {
          state.inPacket = false;
          break;
        }
      }
      return "string";
    }
    if (stream.match(/^#.*/)) return "comment";
    if (stream.match("->")) return "operator";
    if (stream.match(/^(INPORT|OUTPORT|DEFAULT_INPORT|DEFAULT_OUTPORT)=/)) return "keyword";
    if (stream.match(/^\([^)]*\)/)) return "typeName";
    if (stream.match(/^[A-Z][A-Z0-9_.]*(\[\d+\])?(?=[\s]|$)/)) return "propertyName";
    if (stream.match(/^[\w./-]+/)) return "variableName";
    stream.next();
    return null;
  },
});

function languageOf(name: string): Extension {
  switch (name) {
    case "fbp":
      return fbp;
    case "python":
      return python();
    case "javascript":
    case "coffeescript":
      return javascript();
    case "typescript":
      return javascript({ typescript: true });
    case "rust":
      return rust();
    case "json":
      return json();
    case "yaml":
    case "discovery":
      return yaml();
    default:
      return [];
  }
}

// Colours follow the tokens, so that light and dark follow, too.
const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.controlKeyword, tags.definitionKeyword], color: "var(--series-4)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--series-3)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--series-2)" },
  { tag: [tags.comment, tags.meta], color: "var(--text-soft)", fontStyle: "italic" },
  { tag: [tags.typeName, tags.className, tags.function(tags.variableName)], color: "var(--accent)" },
  { tag: [tags.propertyName, tags.attributeName], color: "var(--series-2)" },
  { tag: tags.operator, color: "var(--text-soft)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", backgroundColor: "var(--surface)", color: "var(--text)", fontSize: "12.5px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--text-soft)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--hover) 45%, transparent)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "color-mix(in srgb, var(--accent) 24%, transparent)",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--accent-soft)", outline: "none" },
  ".cm-tooltip, .cm-panels": {
    backgroundColor: "var(--raised)",
    color: "var(--text)",
    border: "1px solid var(--line-soft)",
    borderRadius: "var(--radius-m)",
  },
  ".cm-diagnostic": { fontFamily: "var(--font)", fontSize: "var(--text-s)" },
});

export default function CodeEditor({ label, language, value, readOnly = false, diagnostics, completions, onChange, onSubmit }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const calls = useRef({ onChange, onSubmit, completions });
  calls.current = { onChange, onSubmit, completions };
  const parts = useRef({ language: new Compartment(), access: new Compartment() });

  useEffect(() => {
    if (!host.current) return;
    const complete: CompletionSource = (context) => {
      const word = context.matchBefore(/[\w]+/);
      const options = calls.current.completions;
      if (!options?.length || (!word && !context.explicit)) return null;
      return { from: word?.from ?? context.pos, options, validFor: /^\w*$/ };
    };
    const submit = () => {
      calls.current.onSubmit?.();
      return true;
    };
    const made = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          lineNumbers(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          autocompletion(),
          EditorState.languageData.of(() => [{ autocomplete: complete }]),
          highlightActiveLine(),
          highlightSelectionMatches(),
          lintGutter(),
          keymap.of([
            { key: "Mod-Enter", run: submit },
            { key: "Mod-s", run: submit },
            ...closeBracketsKeymap,
            ...defaultKeymap,
            ...searchKeymap,
            ...historyKeymap,
            indentWithTab,
          ]),
          syntaxHighlighting(colours),
          syntaxHighlighting(defaultHighlightStyle, { fallback: true }),
          look,
          EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) calls.current.onChange?.(update.state.doc.toString());
          }),
          parts.current.language.of(languageOf(language)),
          parts.current.access.of(EditorState.readOnly.of(readOnly)),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
    // The text and the options are brought up to date below.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [label]);

  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);

  useEffect(() => {
    const { language: slot, access } = parts.current;
    view.current?.dispatch({
      effects: [slot.reconfigure(languageOf(language)), access.reconfigure(EditorState.readOnly.of(readOnly))],
    });
  }, [language, readOnly]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const length = editor.state.doc.length;
    const shown = (diagnostics ?? []).map(({ severity, message, help, start, end }) => ({
      severity,
      message: help ? `${message}\n${help}` : message,
      from: Math.min(start, length),
      to: Math.min(Math.max(end, start), length),
    }));
    editor.dispatch(setDiagnostics(editor.state, shown));
  }, [diagnostics]);

  return <div ref={host} className="code-editor" />;
}
