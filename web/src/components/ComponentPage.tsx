import { lazy, Suspense, useEffect, useState } from "react";

import { link } from "../app/route";
import { Badge } from "../design/Badge";
import { Button } from "../design/Button";
import { ErrorState, Loading } from "../design/Notice";
import { toast } from "../design/Toasts";
import { LastExit } from "../network/LastExit";
import { nodeState } from "../network/state";
import { useStatus, type NodeStatus } from "../protocol/status";
import { complain, componentOf, readSource, useMay, useNetwork, writeSource } from "../protocol/store";
import type { Component, Port, Source } from "../protocol/types";

const CodeEditor = lazy(() => import("../design/CodeEditor"));

/** Languages of what is shown where there is no source: it cannot be changed. */
const NO_SOURCE = ["shell", "discovery"];

/** A component: what it is, who runs it, and its source. */
export function ComponentPage({ component }: { component: Component }) {
  const { name } = component;
  const mayRead = useMay("component:getsource");
  const mayWrite = useMay("component:setsource");
  const components = useNetwork((state) => state.components);
  const namespace = useNetwork((state) => state.runtime?.namespace);
  const nodes = useStatus((state) => state.status?.nodes);
  const users = (nodes ?? []).filter((node) => componentOf(node.component, components, namespace)?.name === name);

  return (
    <>
      <header className="components-head">
        <h1>{name}</h1>
        {component.description && <p className="soft">{component.description}</p>}
      </header>
      <div className="components-facts">
        <Ports title="Inports" ports={component.inPorts} />
        <Ports title="Outports" ports={component.outPorts} />
        <div>
          <h2>Used by</h2>
          {users.length === 0 ? (
            <p className="soft">No node runs it.</p>
          ) : (
            <ul className="components-users">
              {users.map((node) => (
                <User key={node.role} node={node} />
              ))}
            </ul>
          )}
        </div>
      </div>
      {mayRead ? (
        <Code component={component} users={users} mayWrite={mayWrite} />
      ) : (
        <ErrorState title="You may not see the source" icon="lock">
          It needs the permission component:getsource.
        </ErrorState>
      )}
    </>
  );
}

function Ports({ title, ports }: { title: string; ports: Port[] }) {
  return (
    <div>
      <h2>{title}</h2>
      {ports.length === 0 ? (
        <p className="soft">None are known.</p>
      ) : (
        <ul>
          {ports.map(({ id, type, description }) => (
            <li key={id}>
              <code>{id}</code> <span className="soft">{[type === "any" || type === "all" ? "" : type, description].filter(Boolean).join(" · ")}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function User({ node }: { node: NodeStatus }) {
  const state = nodeState({ state: node.state });
  return (
    <li>
      <a href={link("network", [node.role])}>{node.role}</a> <Badge tone={state.tone}>{state.word}</Badge>
      {node.reason && node.state !== "failed" && <p className={`components-reason ${state.tone}`}>{node.reason}</p>}
      <LastExit process={node.process} />
    </li>
  );
}

function Code({ component, users, mayWrite }: { component: Component; users: NodeStatus[]; mayWrite: boolean }) {
  const { name } = component;
  const [source, setSource] = useState<Source>();
  const [text, setText] = useState("");
  const [failure, setFailure] = useState<string>();
  const [isSaving, setSaving] = useState(false);

  useEffect(() => {
    let isOver = false;
    readSource(name)
      .then((read) => {
        if (isOver) return;
        setSource(read);
        setText(read.code);
      })
      .catch((error: unknown) => !isOver && setFailure(error instanceof Error ? error.message : String(error)));
    return () => {
      isOver = true;
    };
  }, [name]);

  if (failure) {
    return (
      <ErrorState title="There is no source to show" icon="components">
        {failure}
      </ErrorState>
    );
  }
  if (!source) return <Loading>Reading the source…</Loading>;
  const isSource = !NO_SOURCE.includes(source.language);
  const isChanged = text !== source.code;
  const save = async () => {
    if (!isChanged || isSaving) return;
    setSaving(true);
    try {
      const next = { ...source, code: text };
      await writeSource(next);
      setSource(next);
      toast(users.length > 0 ? "Saved. The running instances are being replaced." : "Saved.");
    } catch (error) {
      complain(error);
    } finally {
      setSaving(false);
    }
  };
  return (
    <div className="components-code">
      <header>
        <h2>{isSource ? "Source" : source.language === "shell" ? "Command" : "Announcement"}</h2>
        <span className="soft">
          {isSource ? source.language : "as the library or the participant says it; there is no file to change"}
        </span>
        <span className="components-space" />
        {isSource && !mayWrite && <span className="soft">read only: writing needs component:setsource</span>}
        {isSource && mayWrite && (
          <>
            {isChanged && <Button onClick={() => setText(source.code)}>Give up</Button>}
            <Button look="primary" disabled={!isChanged || isSaving} onClick={() => void save()}>
              Save
            </Button>
          </>
        )}
      </header>
      <div className="components-editor">
        <Suspense fallback={<Loading />}>
          <CodeEditor
            label={`Source of ${name}`}
            language={source.language}
            value={text}
            readOnly={!isSource || !mayWrite}
            onChange={setText}
            onSubmit={() => void save()}
          />
        </Suspense>
      </div>
    </div>
  );
}
