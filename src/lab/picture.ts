/** The live picture of `lab demo`: the racks with their sessions, routes and tunnels, drawn anew each second until it is interrupted. */

import { setTimeout as rest } from 'node:timers/promises';
import type { WriteStream } from 'node:tty';
import { drawLab } from './drawing.ts';
import { EventLog } from './event-log.ts';
import { ownCommand } from './own-command.ts';
import type { RunningLab } from './run-folder.ts';
import { takeSnapshot } from './snapshot.ts';
import { namespaceOf } from './topology.ts';

const refreshMilliseconds = 1000;

/** The terminal's other screen: what was printed before comes back afterwards. */
const enterScreen = '\u001B[?1049h\u001B[?25l';
const leaveScreen = '\u001B[?25h\u001B[?1049l';
const home = '\u001B[H';
const clearLineEnd = '\u001B[K';
const clearBelow = '\u001B[J';

/** Returns when the signal comes. */
export async function showLivePicture(lab: RunningLab, terminal: WriteStream, signal: AbortSignal): Promise<void> {
  const events = new EventLog();
  const hints = hintsFor(lab);
  terminal.write(enterScreen);
  try {
    while (!signal.aborted) {
      const snapshot = await takeSnapshot(lab);
      events.compare(snapshot, Date.now());
      const lines = drawLab(lab, snapshot, events.recent(), {
        now: Date.now(),
        width: terminal.columns,
        height: terminal.rows,
        hints,
      });
      const visible = lines.slice(0, terminal.rows - 1);
      terminal.write(home + visible.map((line) => line + clearLineEnd).join('\n') + clearBelow);
      await rest(refreshMilliseconds, undefined, { signal }).catch(() => {});
    }
  } finally {
    terminal.write(leaveScreen);
  }
}

function hintsFor({ topology, folder }: RunningLab): string[] {
  const [node, other] = topology.nodes;
  const [agent] = [...topology.reflectors, node];
  const deleteRoute = `ip -n ${namespaceOf(topology.name, node.name)} route del ${other?.podCidrs[0]}`;
  return [
    ownCommand(`lab kill ${agent.name}`, folder.path),
    ownCommand(`lab start ${agent.name}`, folder.path),
    ...(other === undefined ? [] : [deleteRoute]),
    `birdc -s ${folder.agentSocket(node.name)} show route`,
  ];
}
