// An error boundary: a component that throws while rendering is replaced by a notice.

import { type ComponentChildren, Component, createElement, type FunctionComponent } from "preact";

interface BoundaryProps {
  children: ComponentChildren;
  /** What is drawn in their place. */
  instead: FunctionComponent;
}

/** Draws its children; if they throw, something else in their place. */
export class Boundary extends Component<BoundaryProps, { failed: boolean }> {
  override state = { failed: false };
  static override getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }
  override render(): ComponentChildren {
    return this.state.failed ? createElement(this.props.instead, {}) : this.props.children;
  }
}
