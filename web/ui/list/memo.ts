// Memoizes a component: it renders again only if one of its props is a different object.

import { Component, createElement, type FunctionComponent, type JSX } from "preact";

/** The memoized component. Signals that it reads still render it again. */
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
