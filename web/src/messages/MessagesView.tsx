import { EmptyState } from "../design/Notice";

export default function MessagesView() {
  return <EmptyState title="Messages" />;
}
