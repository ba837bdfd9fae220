import { EmptyState } from "../design/Notice";

export default function NetworkView() {
  return <EmptyState title="Network" />;
}
