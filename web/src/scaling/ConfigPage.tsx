// The configuration: written with the server's judgement beside it, tried on the past, taken into force, and taken back.

import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";

import type { ConfigText, Preview, Said, Verdict, Versions } from "../api";
import { reasonOf, useAsked } from "../api/asking";
import { rest, RestError } from "../app/rest";
import { Badge } from "../design/Badge";
import { Button } from "../design/Button";
import { Dialog } from "../design/Dialog";
import { ErrorState, Loading } from "../design/Notice";
import { Panel } from "../design/Panel";
import { toast } from "../design/Toasts";
import { completionsOf, type ConfigSchema } from "./completions";
import { moment } from "./format";
import { PreviewPanel } from "./PreviewPanel";

const CodeEditor = lazy(() => import("../design/CodeEditor"));

const EXAMPLE = `# Times are in seconds. Every role that does not say otherwise takes these.
'*':
  minimum: 0
  maximum: 10
  deadline: 60

# A role for each kind of worker.
work:
  queue: work
  processing: 10
`;

/** A pause in writing after which the server is asked what it says, milliseconds. */
const PAUSE = 350;

export default function ConfigPage({ app, onTaken }: { app: string; onTaken: () => void }) {
  const base = `v1/apps/${encodeURIComponent(app)}`;
  const config = useAsked<ConfigText>(`config/${encodeURIComponent(app)}`);
  const versions = useAsked<Versions>(`${base}/versions`);
  const schema = useAsked<ConfigSchema>("v1/schema");
  const [draft, setDraft] = useState<string>();
  const [verdict, setVerdict] = useState<Verdict>();
  const [preview, setPreview] = useState<Preview>();
  const [isBusy, setBusy] = useState<"preview" | "take">();
  const [restoring, setRestoring] = useState<{ version: number; text: string }>();
  const text = draft ?? (config.value && (config.value.configYaml || EXAMPLE));
  const isChanged = config.value !== undefined && text !== config.value.configYaml;
  const judged = useVerdict(base, text, setVerdict);
  const completions = useMemo(() => (schema.value ? completionsOf(schema.value) : []), [schema.value]);

  if (text === undefined) {
    return config.error ? (
      <ErrorState title="The configuration cannot be read" actions={<Button onClick={config.again}>Try again</Button>}>
        {config.error.message}
      </ErrorState>
    ) : (
      <Loading />
    );
  }
  const taken = ({ version, configYaml }: ConfigText) => {
    toast(`Version ${version} is in force.`);
    // It is shown until the server tells the same: the text before would come back for a moment, and be taken for a change.
    setDraft(configYaml);
    setPreview(undefined);
    config.again();
    versions.again();
    onTaken();
  };
  const act = async (what: "preview" | "take", run: () => Promise<void>) => {
    setBusy(what);
    try {
      await run();
    } catch (error) {
      const said = error instanceof RestError ? (error.body as { diagnostics?: Said[] } | undefined)?.diagnostics : undefined;
      if (said) setVerdict({ is_usable: false, diagnostics: said });
      toast(`It was not done. ${said ? "The marks tell why." : reasonOf(error)}`, { bad: true });
    } finally {
      setBusy(undefined);
    }
  };
  const take = () =>
    act("take", async () => taken(await rest.post<ConfigText>(`config/${encodeURIComponent(app)}`, { config: text })));
  const look = () =>
    act("preview", async () => setPreview(await rest.post<Preview>(`${base}/preview`, { config: text, hours: 24 })));
  const errors = verdict?.diagnostics.filter((said) => said.severity !== "warning").length ?? 0;
  const canTake = isChanged && verdict?.is_usable === true && judged && !isBusy;
  return (
    <div className="scaling-config">
      <Panel
        flush
        title="Configuration"
        className="scaling-editor"
        actions={
          <>
            <Judgement verdict={verdict} isCurrent={judged} errors={errors} />
            <Button disabled={!verdict?.is_usable || Boolean(isBusy)} onClick={() => void look()}>
              {isBusy === "preview" ? "Looking…" : "Preview"}
            </Button>
            {isChanged && draft !== undefined && (
              <Button look="quiet" onClick={() => setDraft(undefined)}>
                Discard
              </Button>
            )}
            <Button look="primary" disabled={!canTake} onClick={() => void take()}>
              Take into force
            </Button>
          </>
        }
      >
        <div className="scaling-text">
          <Suspense fallback={<Loading />}>
            <CodeEditor
              label="Configuration, YAML"
              language="yaml"
              value={text}
              completions={completions}
              diagnostics={(verdict?.diagnostics ?? []).map((said) => marked(text, said))}
              onChange={setDraft}
              onSubmit={() => canTake && void take()}
            />
          </Suspense>
        </div>
        {verdict && verdict.diagnostics.length > 0 && (
          <ul className="scaling-said" aria-label="What is to be said about it">
            {verdict.diagnostics.map((said) => (
              <li key={`${said.start} ${said.message}`}>
                <Badge tone={said.severity === "warning" ? "warn" : "bad"}>
                  {said.severity === "warning" ? "Warning" : "Error"}
                </Badge>
                <span className="number soft">
                  {said.line}:{said.column}
                </span>
                <span>
                  <Words>{said.message}</Words>
                  <span className="scaling-note">
                    <Words>{said.help}</Words>
                  </span>
                </span>
              </li>
            ))}
          </ul>
        )}
      </Panel>
      <Panel flush title="Versions" className="scaling-versions">
        {versions.value?.versions.length ? (
          <ul>
            {versions.value.versions.map((version, index) => (
              <li key={version.version}>
                <span>
                  <b>Version {version.version}</b>
                  <span className="scaling-note">
                    {moment(version.at, { withSeconds: false })} by {version.who}
                  </span>
                </span>
                {index === 0 ? (
                  <Badge tone="good">In force</Badge>
                ) : (
                  <Button
                    small
                    aria-label={`Roll back to version ${version.version}`}
                    onClick={() =>
                      void rest
                        .get<ConfigText>(`${base}/versions/${version.version}`)
                        .then((found) => setRestoring({ version: version.version, text: found.configYaml }))
                        .catch((error: unknown) => toast(reasonOf(error), { bad: true }))
                    }
                  >
                    Roll back…
                  </Button>
                )}
              </li>
            ))}
          </ul>
        ) : (
          <p className="soft">{versions.error ? versions.error.message : "The first change here makes the first version."}</p>
        )}
      </Panel>
      {preview && <PreviewPanel preview={preview} onClose={() => setPreview(undefined)} />}
      {restoring && (
        <Dialog
          title={`Roll back to version ${restoring.version}?`}
          onClose={() => setRestoring(undefined)}
          onSubmit={() => {
            const { version } = restoring;
            setRestoring(undefined);
            void act("take", async () =>
              taken(await rest.post<ConfigText>(`${base}/versions/${version}/restore`)),
            );
          }}
        >
          <p>It comes into force at once, as the newest version. What is in force now stays among the versions.</p>
          <pre className="scaling-old" tabIndex={0} aria-label={`Version ${restoring.version}`}>
            {restoring.text}
          </pre>
          <div className="actions">
            <Button onClick={() => setRestoring(undefined)}>Cancel</Button>
            <Button type="submit" look="primary">
              Roll back
            </Button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

/** Asks the server what it says of a text, once somebody pauses in writing. Whether it has said so of this text. */
function useVerdict(base: string, text: string | undefined, tell: (verdict: Verdict) => void): boolean {
  const [judged, setJudged] = useState<string>();
  const isFirst = useRef(true);
  useEffect(() => {
    if (text === undefined) return;
    let isOver = false;
    const ask = async () => {
      try {
        const verdict = await rest.post<Verdict>(`${base}/check`, { config: text });
        if (isOver) return;
        tell(verdict);
        setJudged(text);
      } catch {
        // The next change asks again; until then nothing can be taken into force.
      }
    };
    const timer = setTimeout(() => void ask(), isFirst.current ? 0 : PAUSE);
    isFirst.current = false;
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [base, text, tell]);
  return judged !== undefined && judged === text;
}

/** Words in which `this` is a name. */
function Words({ children }: { children: string }) {
  return children.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}

function Judgement(props: { verdict: Verdict | undefined; isCurrent: boolean; errors: number }) {
  const { verdict, isCurrent, errors } = props;
  if (!verdict || !isCurrent) return <span className="soft">Checking…</span>;
  if (errors > 0) return <Badge tone="bad">{errors === 1 ? "1 error" : `${errors} errors`}</Badge>;
  if (verdict.diagnostics.length > 0) return <Badge tone="warn">Usable, with warnings</Badge>;
  return <Badge tone="good">No errors</Badge>;
}

/** A place that the server counts in bytes, as the editor counts. */
function marked(text: string, said: Said) {
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder();
  const start = decoder.decode(bytes.subarray(0, said.start)).length;
  const length = decoder.decode(bytes.subarray(said.start, said.end)).length;
  return {
    severity: said.severity === "warning" ? ("warning" as const) : ("error" as const),
    message: said.message,
    help: said.help,
    start,
    end: start + Math.max(length, 1),
  };
}
