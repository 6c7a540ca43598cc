// A component that is drawn anew only if one of its props is another object.

import { Component, createElement, type FunctionComponent, type JSX } from "preact";

/** The component, kept as long as its props are the same. What it reads from signals still redraws it. */
export function memo<P extends object>(draw: (props: P) => JSX.Element | null): FunctionComponent<P> {
  class Kept extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      const keys = Object.keys(next) as (keyof P)[];
      return keys.some((key) => next[key] !== this.props[key]);
    }
    override render(): JSX.Element {
      return createElement(draw as FunctionComponent<P>, this.props);
    }
  }
  return Kept as unknown as FunctionComponent<P>; // a class is one, as far as JSX cares
}
