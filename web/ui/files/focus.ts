// Where the focus goes when a player takes the place of the button that was pressed.

/** As a `ref`: focuses the player, unless the focus is on something else by now, as a text that is being written. */
export function takeFocus(player: HTMLMediaElement | null): void {
  if (player && document.activeElement === document.body) player.focus({ preventScroll: true });
}
