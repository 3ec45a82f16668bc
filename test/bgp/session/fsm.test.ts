import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { FsmEvent } from '../../../bgp/session/fsm.ts';
import { eventSources, fsm } from '../../../bgp/session/fsm.ts';
import type { LocalOffer } from '../../../bgp/session/negotiate.ts';
import { negotiate, toOpen } from '../../../bgp/session/negotiate.ts';
import type { SessionAction, SessionEvent, SessionOptions } from '../../../bgp/session/session.ts';
import { Session } from '../../../bgp/session/session.ts';
import type { SessionState } from '../../../bgp/status.ts';
import { encodeOpen } from '../../../bgp/wire/open.ts';
import { ProtocolError } from '../../../bgp/wire/protocol-error.ts';
import { fsmDocument } from '../../../scripts/generate-fsm-doc.ts';
import { toHex } from '../kit/hex.ts';

/**
 * The state after each event, and the NOTIFICATION sent on the way: `idle 6/2`. A dot: the state stays and nothing is sent.
 * Written from RFC 4271 §8.2.2, RFC 6608, RFC 8538 §5.1 (6/9, where it was to be 6/2), RFC 4724 §5 and RFC 9687; fsm.ts names where it departs from the letter.
 */
const specification: Record<
  FsmEvent,
  [idle: string, connect: string, active: string, openSent: string, openConfirm: string, established: string]
> = {
  manualStarted: ['connect', '.', '.', '.', '.', '.'],
  manualStartedPassively: ['active', '.', '.', '.', '.', '.'],
  automaticStarted: ['connect', '.', '.', '.', '.', '.'],
  automaticStartedPassively: ['active', '.', '.', '.', '.', '.'],
  manualStopped: ['.', 'idle', 'idle', 'idle 6/2', 'idle 6/2', 'idle 6/9'],
  automaticStopped: ['.', 'idle', 'idle', 'idle 6/6', 'idle 6/6', 'idle 6/6'],
  connectRetryTimerExpired: ['.', '.', 'connect', 'idle 5/1', 'idle 5/2', 'idle 5/3'],
  holdTimerExpired: ['.', 'idle', 'idle', 'idle 4/0', 'idle 4/0', 'idle 4/0'],
  keepaliveTimerExpired: ['.', 'idle', 'idle', 'idle 5/1', '.', '.'],
  sendHoldTimerExpired: ['.', 'idle', 'idle', 'idle', 'idle', 'idle'],
  tcpConnected: ['.', 'openSent', 'openSent', '.', '.', '.'],
  tcpAccepted: ['openSent', '.', 'openSent', '.', '.', '.'],
  tcpFailed: ['.', 'active', 'idle', 'active', 'idle', 'idle'],
  openReceived: ['.', 'idle', 'idle', 'openConfirm', 'idle 5/2', 'idle 5/3'],
  headerErrorFound: ['.', 'idle', 'idle', 'idle 1/1', 'idle 1/1', 'idle 1/1'],
  openErrorFound: ['.', 'idle', 'idle', 'idle 2/2', 'idle 2/2', 'idle 5/3'],
  collisionLost: ['.', 'idle', 'idle', 'idle 6/7', 'idle 6/7', 'idle 6/7'],
  connectionReplaced: ['.', 'idle', 'idle', 'idle', 'idle', 'idle'],
  versionErrorNotified: ['.', 'idle', 'idle', 'idle', 'idle', 'idle'],
  notificationReceived: ['.', 'idle', 'idle', 'idle', 'idle', 'idle'],
  keepaliveReceived: ['.', 'idle', 'idle', 'idle 5/1', 'established', '.'],
  updateReceived: ['.', 'idle', 'idle', 'idle 5/1', 'established', '.'],
  updateErrorFound: ['.', 'idle', 'idle', 'idle 5/1', 'idle 5/2', 'idle 3/1'],
  routeRefreshReceived: ['.', 'idle', 'idle', 'idle 5/1', 'idle 5/2', '.'],
};

const states: readonly SessionState[] = ['idle', 'connect', 'active', 'openSent', 'openConfirm', 'established'];

const offer: LocalOffer = {
  localAs: 65001,
  bgpIdentifier: Uint8Array.of(10, 0, 0, 1),
  remoteAs: 65002,
  families: ['ipv4'],
  extendedNextHop: false,
  holdTimeSeconds: 90,
  keepaliveTimeSeconds: undefined,
  restartTimeSeconds: 120,
  restarting: false,
  forwardingPreserved: false,
};

const peerOffer: LocalOffer = { ...offer, localAs: 65002, remoteAs: 65001, bgpIdentifier: Uint8Array.of(10, 0, 0, 2) };
const negotiated = negotiate(offer, toOpen(peerOffer));

/** One example of each kind of event. */
const examples: { [K in FsmEvent]: SessionEvent & { kind: K } } = {
  manualStarted: { kind: 'manualStarted' },
  manualStartedPassively: { kind: 'manualStartedPassively' },
  automaticStarted: { kind: 'automaticStarted' },
  automaticStartedPassively: { kind: 'automaticStartedPassively' },
  manualStopped: { kind: 'manualStopped', stop: { subcode: 2, text: '' } },
  automaticStopped: { kind: 'automaticStopped', stop: { subcode: 6, text: '' } },
  connectRetryTimerExpired: { kind: 'connectRetryTimerExpired' },
  holdTimerExpired: { kind: 'holdTimerExpired' },
  keepaliveTimerExpired: { kind: 'keepaliveTimerExpired' },
  sendHoldTimerExpired: { kind: 'sendHoldTimerExpired' },
  tcpConnected: { kind: 'tcpConnected' },
  tcpAccepted: { kind: 'tcpAccepted' },
  tcpFailed: { kind: 'tcpFailed', reason: 'connection refused' },
  openReceived: { kind: 'openReceived', negotiated },
  headerErrorFound: { kind: 'headerErrorFound', error: new ProtocolError(1, 1, 'marker') },
  openErrorFound: { kind: 'openErrorFound', error: new ProtocolError(2, 2, 'expected 65002, got 65009') },
  collisionLost: { kind: 'collisionLost' },
  connectionReplaced: { kind: 'connectionReplaced' },
  versionErrorNotified: {
    kind: 'versionErrorNotified',
    notification: { code: 2, subcode: 1, data: Uint8Array.of(0, 4) },
  },
  notificationReceived: {
    kind: 'notificationReceived',
    notification: { code: 6, subcode: 3, data: new Uint8Array(0) },
  },
  keepaliveReceived: { kind: 'keepaliveReceived' },
  updateReceived: { kind: 'updateReceived', body: new Uint8Array(4) },
  updateErrorFound: { kind: 'updateErrorFound', error: new ProtocolError(3, 1, 'attributes') },
  routeRefreshReceived: { kind: 'routeRefreshReceived', message: { kind: 'request', family: 'ipv4' } },
};

const wayTo: Record<SessionState, readonly FsmEvent[]> = {
  idle: [],
  connect: ['manualStarted'],
  active: ['manualStarted', 'tcpFailed'],
  openSent: ['manualStarted', 'tcpConnected'],
  openConfirm: ['manualStarted', 'tcpConnected', 'openReceived'],
  established: ['manualStarted', 'tcpConnected', 'openReceived', 'keepaliveReceived'],
};

function sessionIn(state: SessionState, changes: Partial<SessionOptions> = {}): Session {
  const counters = { messagesReceived: 0, messagesSent: 0, updatesReceived: 0, connectRetry: 0, oscillations: 0 };
  const options = {
    passive: false,
    connectRetrySeconds: 30,
    offer: () => offer,
    random: () => 0,
    counters,
    ...changes,
  };
  const session = new Session(options);
  for (const kind of wayTo[state]) session.handle(examples[kind], 0);
  expect(session.state).toBe(state);
  return session;
}

function notificationIn(actions: readonly SessionAction[]): string {
  for (const action of actions) {
    if (action.kind === 'send' && action.message[18] === 3) return ` ${action.message[19]}/${action.message[20]}`;
  }
  return '';
}

describe.each(states)('%s', (state) => {
  const column = states.indexOf(state);
  test.each(Object.entries(specification) as [FsmEvent, string[]][])('%s', (event, row) => {
    const session = sessionIn(state);
    const actions = session.handle(examples[event], 1000);
    const found = `${session.state}${notificationIn(actions)}`;
    expect(found).toBe(row[column] === '.' ? state : row[column]);
  });
});

describe('what a cell may hold', () => {
  const cells = states.flatMap((state) =>
    Object.entries(fsm[state]).map(([event, cell]) => ({
      state,
      event,
      next: cell.next,
      actions: cell.actions as readonly string[],
    })),
  );

  test('every cell of 6 states and 24 events is written', () => {
    expect(cells).toHaveLength(6 * 24);
    expect(Object.keys(eventSources)).toHaveLength(24);
  });

  test('leaving established tells the RIB, and nothing else does', () => {
    for (const { state, event, next, actions } of cells) {
      const leaves = state === 'established' && next !== 'established';
      expect(actions.includes('leaveEstablished'), `${state} ${event}`).toBe(leaves);
      const enters = state !== 'established' && next === 'established';
      expect(actions.includes('enterEstablished'), `${state} ${event}`).toBe(enters);
    }
  });

  test('a fall to idle releases the connection, after the NOTIFICATION and after the RIB was told', () => {
    for (const { state, event, next, actions } of cells) {
      if (state === 'idle' || next !== 'idle') continue;
      const release = actions.indexOf('release');
      expect(release, `${state} ${event}`).toBeGreaterThanOrEqual(0);
      const before = actions.filter((action) => action.startsWith('notify') || action === 'leaveEstablished');
      for (const action of before) expect(actions.indexOf(action)).toBeLessThan(release);
    }
  });

  test('whoever falls to idle and was not stopped or replaced starts again', () => {
    for (const { state, event, next, actions } of cells) {
      if (state === 'idle' || next !== 'idle') continue;
      const ends = event === 'manualStopped' || event === 'connectionReplaced';
      expect(actions.includes('damp'), `${state} ${event}`).toBe(!ends);
    }
  });
});

test('docs/fsm.md is what the table says', () => {
  expect(readFileSync(new URL('../../../docs/fsm.md', import.meta.url), 'utf8')).toBe(fsmDocument());
});

describe('RFC 4271 §8: a session by itself', () => {
  test('the OPEN goes out when the connection stands, and the hold timer is large', () => {
    const session = sessionIn('connect');
    expect(session.handle({ kind: 'tcpConnected' }, 500)).toEqual([
      { kind: 'send', message: encodeOpen(toOpen(offer)) },
    ]);
    expect(session.timers).toMatchObject({ hold: 500 + 240_000, keepalive: Infinity, connectRetry: Infinity });
  });

  test("a valid OPEN waits for the collision's outcome, then is answered by a KEEPALIVE", () => {
    const session = sessionIn('openSent');
    session.push(encodeOpen(toOpen(peerOffer)));
    expect(session.advance(1000, refuse)).toEqual([{ kind: 'resolveCollision', open: toOpen(peerOffer), negotiated }]);
    expect(session.state).toBe('openSent');
    const actions = session.handle({ kind: 'openReceived', negotiated }, 1000);
    expect(actions.map((action) => (action.kind === 'send' ? toHex(action.message).slice(32) : action.kind))).toEqual([
      '001304',
    ]);
    expect(session.timers).toMatchObject({ hold: 91_000, keepalive: 1000 + 30_000 * 0.75 });
  });

  test('UPDATEs in one chunk go straight to the RIB, and the hold timer starts again', () => {
    const session = sessionIn('established');
    const update = Uint8Array.of(...new Uint8Array(16).fill(255), 0, 23, 2, 0, 0, 0, 0);
    session.push(Uint8Array.from([...update, ...update, ...update]));
    const bodies: string[] = [];
    expect(session.advance(50_000, (body) => bodies.push(toHex(body)))).toEqual([]);
    expect(bodies).toEqual(['00000000', '00000000', '00000000']);
    expect(session.timers.hold).toBe(140_000);
  });

  test("an UPDATE's error becomes a NOTIFICATION, and nothing after it is read", () => {
    const session = sessionIn('established');
    const update = Uint8Array.of(...new Uint8Array(16).fill(255), 0, 23, 2, 0, 0, 0, 0);
    session.push(Uint8Array.from([...update, ...update]));
    let calls = 0;
    const fail = () => {
      calls++;
      throw new ProtocolError(3, 10, 'a prefix of 33 bits');
    };
    const actions = session.advance(1000, fail);
    expect(actions[0]).toEqual({
      kind: 'reportReason',
      reason: 'UPDATE error: invalid network field (3/10), sent: a prefix of 33 bits',
      notified: true,
    });
    expect(notificationIn(actions)).toBe(' 3/10');
    expect(session.advance(1000, fail)).toEqual([]);
    expect(calls).toBe(1);
  });

  test('keepalives go out by their timer, with jitter, and UPDATEs put them off', () => {
    const session = sessionIn('established');
    session.updatesSent(20_000);
    expect(session.timeReached(42_000)).toBeUndefined();
    expect(session.timeReached(42_500)).toHaveLength(1);
    expect(session.timers.keepalive).toBe(42_500 + 22_500);
  });

  test('a hold time of zero: neither keepalives nor a hold timer', () => {
    const endless = { ...offer, holdTimeSeconds: 0 };
    const session = sessionIn('openSent', { offer: () => endless });
    session.handle({ kind: 'openReceived', negotiated: negotiate(endless, toOpen(peerOffer)) }, 0);
    session.handle({ kind: 'keepaliveReceived' }, 0);
    expect(session.state).toBe('established');
    expect(session.timers.next()).toBe(Infinity);
  });

  test('damping: the first return is quick, each next takes twice as long, and a minute of peace is forgotten trouble', () => {
    const session = sessionIn('idle');
    let now = 0;
    const holdAfter = (lasted: number): number => {
      for (const kind of ['automaticStarted', 'tcpConnected', 'openReceived', 'keepaliveReceived'] as const) {
        session.handle(examples[kind], now);
      }
      now += lasted;
      session.handle(examples.tcpFailed, now);
      return session.timers.idleHold - now;
    };
    expect([holdAfter(10), holdAfter(10), holdAfter(10)]).toEqual([750, 1500, 3000]);
    expect(holdAfter(60_000)).toBe(750);
  });

  test('a passive session never dials', () => {
    const session = sessionIn('idle', { passive: true });
    session.handle({ kind: 'manualStartedPassively' }, 0);
    expect(session.timers.next()).toBe(Infinity);
    session.handle({ kind: 'tcpAccepted' }, 0);
    session.handle({ kind: 'tcpFailed', reason: 'connection reset by the peer' }, 10);
    expect(session).toMatchObject({ state: 'active' });
    expect(session.timers.next()).toBe(Infinity);
  });
});

function refuse(): never {
  throw new Error('no UPDATE was to be delivered');
}
