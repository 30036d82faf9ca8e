// The pointer: while it is down, what it is on is not replaced, or the click would be lost.

/** Longer than a click takes; some browsers never report that a pointer went up over a menu of theirs. */
const CLICK_MS = 1000;

let down = null;
let up = () => {};

addEventListener(
  "pointerdown",
  ({ button, isPrimary }) => {
    if (button !== 0 || !isPrimary) return;
    up();
    down = new Promise((resolve) => {
      up = resolve;
      setTimeout(resolve, CLICK_MS);
    });
  },
  { capture: true },
);
// The click itself comes right after.
for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => setTimeout(up), { capture: true });

/** When no click is on its way. */
export const released = () => down;
