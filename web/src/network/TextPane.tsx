import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";

import { rest, RestError } from "../app/rest";
import { Button } from "../design/Button";
import { Loading } from "../design/Notice";
import { toast } from "../design/Toasts";
import { fromJson, toJson, type Graph, type GraphJson } from "../protocol/graph";
import { edit, useMay, useNetwork } from "../protocol/store";
import { differences } from "./edits";
import { useView } from "./selection";

const CodeEditor = lazy(() => import("../design/CodeEditor"));

interface Diagnostic {
  severity: "error" | "warning";
  message: string;
  help: string | null;
  line: number;
  column: number;
  start: number;
  end: number;
}

interface Parsed {
  graph: GraphJson | null;
  diagnostics: Diagnostic[];
}

const PARSE_MS = 300;

/** The graph as .fbp text. What is written takes effect when it is applied, as edits of what differs. */
export function TextPane() {
  const graph = useNetwork((state) => state.graph);
  const mayEdit = useMay("protocol:graph");
  const json = useMemo(() => JSON.stringify(toJson(graph, { positions: false })), [graph]);
  const [text, setText] = useState<string>();
  const [printed, setPrinted] = useState("");
  const [lost, setLost] = useState<string[]>([]);
  const [parsed, setParsed] = useState<Parsed>();
  const [failure, setFailure] = useState<string>();
  const isChanged = text !== undefined && text !== printed;
  const changed = useRef(isChanged);
  changed.current = isChanged;

  // What is written stays until it is applied or given up, whatever others do meanwhile.
  useEffect(() => {
    let isOver = false;
    rest
      .post<{ text: string; lost: string[] }>("api/graph/print", { graph: JSON.parse(json) as unknown })
      .then((answer) => {
        if (isOver) return;
        setLost(answer.lost);
        setPrinted(answer.text);
        setFailure(undefined);
        if (!changed.current) {
          setText(answer.text);
          setParsed(undefined);
        }
      })
      .catch((error: unknown) => !isOver && setFailure(said(error)));
    return () => {
      isOver = true;
    };
  }, [json]);

  useEffect(() => {
    if (!isChanged) return;
    const timer = setTimeout(() => {
      rest
        .post<Parsed>("api/graph/parse", { text })
        .then((answer) => {
          setParsed(answer);
          setFailure(undefined);
        })
        .catch((error: unknown) => setFailure(said(error)));
    }, PARSE_MS);
    return () => clearTimeout(timer);
  }, [text, isChanged]);

  const wanted: Graph | undefined = isChanged && parsed?.graph ? fromJson(parsed.graph) : undefined;
  const edits = wanted ? differences(graph, wanted) : [];
  const apply = async () => {
    if (edits.length === 0) return;
    if (await edit(edits)) {
      toast(edits.length === 1 ? "One change is made." : `${edits.length} changes are made.`);
      setParsed(undefined);
      changed.current = false;
      setText(printed);
    }
  };
  const first = parsed?.diagnostics[0];

  return (
    <section className="network-text-pane" aria-label="Graph as text">
      <header className="side-head">
        <h2>Graph as text</h2>
        <Button look="quiet" small icon="close" label="Close the text" onClick={() => useView.setState({ isTextOpen: false })} />
      </header>
      <div className="network-text-editor">
        <Suspense fallback={<Loading />}>
          {text !== undefined && (
            <CodeEditor
              label="Graph in the .fbp language"
              language="fbp"
              value={text}
              readOnly={!mayEdit}
              diagnostics={isChanged ? (parsed?.diagnostics ?? []) : []}
              onChange={setText}
              onSubmit={() => void apply()}
            />
          )}
        </Suspense>
      </div>
      <footer className="network-text-foot">
        <p className={first?.severity === "error" || failure ? "network-wrong" : "soft"} role="status">
          {failure ??
            (isChanged && first
              ? `Line ${first.line}: ${first.message}.${first.help ? ` ${first.help.charAt(0).toUpperCase()}${first.help.slice(1)}.` : ""}`
              : isChanged
                ? wanted
                  ? edits.length === 0
                    ? "It means what the network already is."
                    : `${edits.length} ${edits.length === 1 ? "change" : "changes"} to apply (Ctrl+Enter).`
                  : "Reading…"
                : lost.length > 0
                  ? `Text cannot hold: ${lost.join("; ")}`
                  : "It follows the network.")}
        </p>
        {isChanged && (
          <>
            <Button
              onClick={() => {
                setText(printed);
                setParsed(undefined);
              }}
            >
              Give up
            </Button>
            <Button look="primary" disabled={edits.length === 0} onClick={() => void apply()}>
              Apply
            </Button>
          </>
        )}
      </footer>
    </section>
  );
}

function said(error: unknown): string {
  return error instanceof RestError || error instanceof Error ? error.message : String(error);
}
