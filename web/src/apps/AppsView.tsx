import { EmptyState } from "../design/Notice";

export default function AppsView() {
  return <EmptyState title="Apps" />;
}
