import { EmptyState } from "../design/Notice";

export default function ScalingView() {
  return <EmptyState title="Scaling" />;
}
