import { Badge } from "../design/Badge";
import { Icon } from "../design/Icon";
import { useStatus } from "../protocol/status";
import { useNetwork } from "../protocol/store";

/** Whether what is shown is live, and who else looks at it. */
export function ServerState() {
  const link = useNetwork((state) => state.link);
  const label = useNetwork((state) => state.runtime?.label);
  const editors = useStatus((state) => state.status?.editors ?? 0);
  return (
    <span className="shell-state">
      {label && <strong>{label}</strong>}
      {link === "live" && <Badge tone="good">live</Badge>}
      {link === "connecting" && <Badge tone="info">connecting</Badge>}
      {link === "lost" && (
        <Badge tone="bad" title="What is shown may be old. It is tried again.">
          connection lost
        </Badge>
      )}
      {editors > 1 && (
        <span className="shell-people" title={`${editors} editors are connected, this one among them`}>
          <Icon name="people" />
          {editors}
        </span>
      )}
    </span>
  );
}
