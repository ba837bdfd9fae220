import { EmptyState } from "../design/Notice";

export default function ComponentsView() {
  return <EmptyState title="Components" />;
}
