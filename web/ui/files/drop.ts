// Files that are dragged onto a conversation.

import { useRef, useState } from "preact/hooks";
import type { ConversationId } from "../../core/index.ts";
import { pick } from "./chosen.ts";

interface Drop {
  onDragEnter: (event: DragEvent) => void;
  onDragOver: (event: DragEvent) => void;
  onDragLeave: (event: DragEvent) => void;
  onDrop: (event: DragEvent) => void;
}

const hasFiles = ({ dataTransfer }: DragEvent): boolean => dataTransfer?.types.includes("Files") ?? false;

/** Whether files are dragged over the element, and its event handlers. */
export function useDrop(conversation: string): [boolean, Drop] {
  const [over, setOver] = useState(false);
  // Counts, as `dragleave` of one element comes after `dragenter` of the next.
  const depth = useRef(0);
  const entered = (by: 1 | -1): void => {
    depth.current += by;
    setOver(depth.current > 0);
  };
  const drop: Drop = {
    onDragEnter: (event) => {
      if (hasFiles(event)) entered(1);
    },
    onDragOver: (event) => {
      if (hasFiles(event)) event.preventDefault();
    },
    onDragLeave: (event) => {
      if (hasFiles(event)) entered(-1);
    },
    onDrop: (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth.current = 0;
      setOver(false);
      void pick(conversation as ConversationId, [...(event.dataTransfer?.files ?? [])]);
    },
  };
  return [over, drop];
}
