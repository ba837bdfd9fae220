import { toast } from "../design/Toasts";
import { Button } from "../design/Button";
import type { Json } from "../protocol/types";
import { bodyOf, hexOf, sizeOf } from "./body";

/** A message as what it is: JSON, text, a picture or bytes. */
export function MessageBody({ data }: { data: Json }) {
  const body = bodyOf(data);
  const copy = (text: string) => void navigator.clipboard.writeText(text).then(() => toast("Copied."));
  switch (body.kind) {
    case "json":
    case "text":
      return (
        <div className="messages-body">
          <div className="messages-body-head">
            <span className="soft">
              {body.kind === "json" ? "JSON" : "Text"} · {sizeOf(new Blob([body.text]).size)}
            </span>
            <Button small look="quiet" onClick={() => copy(body.text)}>
              Copy
            </Button>
          </div>
          <pre tabIndex={0}>{body.text === "" ? "(nothing)" : body.text}</pre>
        </div>
      );
    case "image":
      return (
        <div className="messages-body">
          <span className="soft">
            {body.contentType} · {sizeOf(body.bytes)}
          </span>
          <img src={body.url} alt="What the message holds" />
        </div>
      );
    case "binary":
      return (
        <div className="messages-body">
          <span className="soft">
            {body.contentType} · {sizeOf(body.bytes)}
          </span>
          <pre tabIndex={0}>{hexOf(body.base64)}</pre>
          {body.bytes > 256 && <span className="soft">The first 256 bytes.</span>}
        </div>
      );
    case "long":
      return (
        <div className="messages-body">
          <p className="soft">
            {body.contentType} · {sizeOf(body.bytes)}. The server shows messages up to 256 kB.
          </p>
        </div>
      );
  }
}
