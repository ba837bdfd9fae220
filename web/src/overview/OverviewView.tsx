import { EmptyState } from "../design/Notice";

export default function OverviewView() {
  return <EmptyState title="Overview" />;
}
