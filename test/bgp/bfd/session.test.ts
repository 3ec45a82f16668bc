import { describe, expect, test } from 'vitest';
import type { BfdFsmEvent } from '../../../bgp/bfd/fsm.ts';
import { formatDiagnostic } from '../../../bgp/bfd/fsm.ts';
import type { ControlPacket } from '../../../bgp/bfd/packet.ts';
import { decodeControlPacket } from '../../../bgp/bfd/packet.ts';
import type { BfdAction, BfdEvent, BfdParameters } from '../../../bgp/bfd/session.ts';
import { BfdSession } from '../../../bgp/bfd/session.ts';
import type { BfdState } from '../../../bgp/status.ts';

/**
 * The state after each event, and the diagnostic where it changed. A dot: nothing happens.
 * Written from RFC 5880 §6.8.6 (reception), §6.8.4 (detection time), §6.8.16 (administrative control).
 */
const specification: Record<BfdFsmEvent, [adminDown: string, down: string, init: string, up: string]> = {
  adminDownReceived: ['.', '.', 'down 3', 'down 3'],
  downReceived: ['.', 'init 0', '.', 'down 3'],
  initReceived: ['.', 'up 0', 'up 0', '.'],
  upReceived: ['.', '.', 'up 0', '.'],
  detectionTimeExpired: ['.', '.', 'down 1', 'down 1'],
  enabled: ['down 0', '.', '.', '.'],
  disabled: ['.', 'adminDown 7', 'adminDown 7', 'adminDown 7'],
};

const parameters: BfdParameters = {
  minimumTransmitMilliseconds: 300,
  minimumReceiveMilliseconds: 200,
  detectMultiplier: 3,
};

function received(state: BfdState, changes: Partial<ControlPacket> = {}): BfdEvent {
  const packet: ControlPacket = {
    state,
    diagnostic: 0,
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMultiplier: 5,
    myDiscriminator: 7,
    yourDiscriminator: 1,
    desiredMinimumTransmit: 100_000,
    requiredMinimumReceive: 50_000,
    requiredMinimumEchoReceive: 0,
    ...changes,
  };
  return { kind: 'packetReceived', packet };
}

const events: Record<BfdFsmEvent, BfdEvent> = {
  adminDownReceived: received('adminDown'),
  downReceived: received('down'),
  initReceived: received('init'),
  upReceived: received('up'),
  detectionTimeExpired: { kind: 'timeReached' },
  enabled: { kind: 'enabled' },
  disabled: { kind: 'disabled' },
};

const wayTo: Record<BfdState, readonly BfdFsmEvent[]> = {
  adminDown: [],
  down: ['enabled'],
  init: ['enabled', 'downReceived'],
  up: ['enabled', 'downReceived', 'upReceived'],
};

function sessionIn(state: BfdState, changes: Partial<BfdParameters> = {}, random = () => 0): BfdSession {
  const session = new BfdSession({ parameters: { ...parameters, ...changes }, discriminator: 1, random });
  for (const event of wayTo[state]) session.handle(events[event], 0);
  expect(session.state).toBe(state);
  return session;
}

function sent(actions: readonly BfdAction[]): ControlPacket[] {
  return actions.flatMap((action) => {
    if (action.kind !== 'send') return [];
    const packet = decodeControlPacket(action.bytes);
    if (typeof packet === 'string') throw new Error(packet);
    return [packet];
  });
}

function kinds(actions: readonly BfdAction[]): string[] {
  return actions.map(({ kind }) => kind);
}

const states = Object.keys(wayTo) as BfdState[];

describe.each(states)('%s', (state) => {
  test.each(Object.entries(specification))('%s', (event, row) => {
    const session = sessionIn(state);
    const before = session.localDiagnostic;
    const late = event === 'detectionTimeExpired' ? 10_000 : 0;
    const actions = session.handle(events[event as BfdFsmEvent], late);
    const expected = row[states.indexOf(state)];
    const changed = kinds(actions).includes('stateChanged');
    expect(changed ? `${session.state} ${session.localDiagnostic}` : '.').toBe(expected);
    if (!changed) expect([session.state, session.localDiagnostic]).toEqual([state, before]);
  });
});

describe('what a change of state does', () => {
  test('the first packet is Down, knows nobody, and wants no more than one a second', () => {
    const session = new BfdSession({ parameters, discriminator: 0xdeadbeef, random: () => 0 });
    const actions = session.handle({ kind: 'enabled' }, 0);
    expect(kinds(actions)).toEqual(['stateChanged', 'send']);
    expect(sent(actions)).toMatchObject([
      {
        state: 'down',
        myDiscriminator: 0xdeadbeef,
        yourDiscriminator: 0,
        desiredMinimumTransmit: 1_000_000,
        requiredMinimumReceive: 200_000,
        requiredMinimumEchoReceive: 0,
        detectMultiplier: 3,
        controlPlaneIndependent: false,
      },
    ]);
  });

  test('it is told at once; Up begins a poll sequence for the timers that hold from now on', () => {
    const session = sessionIn('down');
    expect(sent(session.handle(received('down'), 10))).toMatchObject([
      { state: 'init', yourDiscriminator: 7, poll: false },
    ]);
    expect(sent(session.handle(received('init'), 20))).toMatchObject([
      { state: 'up', poll: true, desiredMinimumTransmit: 300_000 },
    ]);
  });

  test.each<[string, BfdEvent, number, readonly string[]]>([
    ['the detection time passes', { kind: 'timeReached' }, 10_000, ['stateChanged', 'send', 'reportFailure']],
    ['the neighbour says Down', received('down'), 0, ['stateChanged', 'send', 'reportFailure']],
    ['RFC 5882 §3.2: the neighbour says AdminDown', received('adminDown'), 0, ['stateChanged', 'send']],
    ['we switch it off', { kind: 'disabled' }, 0, ['stateChanged', 'send']],
    [
      "the neighbour's BFD begins anew, knowing nobody",
      received('down', { myDiscriminator: 8, yourDiscriminator: 0 }),
      0,
      ['stateChanged', 'send'],
    ],
  ])('leaving Up where %s', (_, event, now, expected) => {
    const actions = sessionIn('up').handle(event, now);
    expect(kinds(actions)).toEqual(expected);
  });

  test.each(['down', 'init'] as const)('a session that was never Up reports no failure: %s', (state) => {
    const session = sessionIn(state);
    const later = [...session.handle({ kind: 'timeReached' }, 10_000), ...session.handle(received('down'), 11_000)];
    expect(kinds(later)).not.toContain('reportFailure');
  });
});

describe('detection (§6.8.4)', () => {
  test("the neighbour's multiplier times the slower of its sending and our receiving", () => {
    const session = sessionIn('up');
    session.handle(received('up', { detectMultiplier: 4, desiredMinimumTransmit: 500_000 }), 100);
    expect(session.detectionTime).toBe(2000);
    session.handle(received('up', { detectMultiplier: 4, desiredMinimumTransmit: 10_000 }), 200);
    expect(session.detectionTime).toBe(800);
    expect(kinds(session.handle({ kind: 'timeReached' }, 999))).not.toContain('stateChanged');
    expect(kinds(session.handle({ kind: 'timeReached' }, 1000))).toContain('reportFailure');
    expect(formatDiagnostic(session.localDiagnostic)).toBe('control detection time expired');
  });

  test('a neighbour that has been silent for it is a stranger again', () => {
    const session = sessionIn('init');
    expect(session.remote.discriminator).toBe(7);
    const [packet] = sent(session.handle({ kind: 'timeReached' }, 5000));
    expect(packet).toMatchObject({ state: 'down', diagnostic: 1, yourDiscriminator: 0 });
  });

  test('postponed: what is waited for may still come', () => {
    const session = sessionIn('up');
    session.postponeDetection(5100);
    expect(session.handle({ kind: 'timeReached' }, 5000)).not.toContainEqual({ kind: 'reportFailure' });
    session.handle(received('up'), 5050);
    expect(session.handle({ kind: 'timeReached' }, 5100)).not.toContainEqual({ kind: 'reportFailure' });
    expect(session.state).toBe('up');
  });
});

/** Times of the periodic packets until then, and what they were. */
function periodic(session: BfdSession, until: number): { at: number; packet: ControlPacket }[] {
  const packets: { at: number; packet: ControlPacket }[] = [];
  for (;;) {
    const at = session.nextDeadline();
    if (at > until) return packets;
    for (const packet of sent(session.handle({ kind: 'timeReached' }, at))) packets.push({ at, packet });
  }
}

describe('sending (§6.8.7)', () => {
  test.each([
    [3, 0, 0.75],
    [3, 0.999999, 1],
    [1, 0, 0.75],
    [1, 0.999999, 0.9],
  ])(
    'with multiplier %i and a random %d the interval is %d of what it could be',
    (detectMultiplier, random, factor) => {
      const session = sessionIn('down', { detectMultiplier }, () => random);
      session.handle(received('down'), 0);
      const [{ at }] = periodic(session, 1200);
      expect(at).toBeCloseTo(1000 * factor, 1);
    },
  );

  test.each(['down', 'init'] as const)('%s: at most one packet a second, however quick the neighbour is', (state) => {
    const session = sessionIn(state, {}, () => 0.999);
    session.handle(received('down', { requiredMinimumReceive: 1000 }), 0);
    const times = periodic(session, 1500).map(({ at }) => Math.round(at));
    expect(times.filter((at) => at > 0 && at !== 1000)).toEqual([]);
  });

  test("Up: the slower of our sending and the neighbour's receiving", () => {
    const session = sessionIn('up', {}, () => 0.5);
    expect(session.transmitInterval).toBe(300);
    session.handle(received('up', { requiredMinimumReceive: 900_000 }), 1);
    expect(session.transmitInterval).toBe(900);
  });

  test('§6.8.3: a neighbour that can take more is sent more at once, counted from the last packet', () => {
    const session = sessionIn('up', {}, () => 0.999999);
    session.handle(received('up', { requiredMinimumReceive: 900_000, final: true }), 1);
    expect(Math.round(session.nextDeadline())).toBe(900);
    session.handle(received('up', { requiredMinimumReceive: 50_000 }), 500);
    expect(Math.round(session.nextDeadline())).toBe(300);
  });

  test('a neighbour that wants none gets no periodic packet, but its polls are answered', () => {
    const session = sessionIn('up');
    session.handle(received('up', { requiredMinimumReceive: 0, final: true, desiredMinimumTransmit: 9_000_000 }), 0);
    expect(periodic(session, 8000)).toEqual([]);
    expect(sent(session.handle(received('up', { requiredMinimumReceive: 0, poll: true }), 5))).toMatchObject([
      { final: true },
    ]);
  });

  test('§6.6: demand mode of the neighbour silences us while both are up, but for polls', () => {
    const session = sessionIn('up');
    session.handle(received('up', { demand: true, final: true, desiredMinimumTransmit: 60_000_000 }), 0);
    expect(periodic(session, 10_000)).toEqual([]);
    session.handle(
      { kind: 'parametersChanged', parameters: { ...parameters, minimumReceiveMilliseconds: 400 } },
      10_000,
    );
    expect(periodic(session, 11_000).every(({ packet }) => packet.poll)).toBe(true);
  });

  test('a poll is answered at once, with F and without P, and moves no timer', () => {
    const session = sessionIn('up');
    const before = session.nextDeadline();
    const [answer] = sent(session.handle(received('up', { poll: true }), 1));
    expect(answer).toMatchObject({ final: true, poll: false, state: 'up' });
    expect(session.nextDeadline()).toBe(before);
  });
});

describe('poll sequences (§6.8.3)', () => {
  function settled(): BfdSession {
    const session = sessionIn('up', {}, () => 0.999999);
    session.handle(received('up', { final: true }), 0);
    return session;
  }

  test('every packet carries P until F comes', () => {
    const session = sessionIn('up');
    expect(periodic(session, 400).map(({ packet }) => packet.poll)).toEqual([true]);
    session.handle(received('up', { final: true }), 400);
    expect(periodic(session, 500).map(({ packet }) => packet.poll)).toEqual([false]);
  });

  test('slower sending is announced at once and begins with F', () => {
    const session = settled();
    session.handle({ kind: 'parametersChanged', parameters: { ...parameters, minimumTransmitMilliseconds: 800 } }, 10);
    expect(session.transmitInterval).toBe(300);
    const [{ packet }] = periodic(session, 310);
    expect(packet).toMatchObject({ poll: true, desiredMinimumTransmit: 800_000 });
    session.handle(received('up', { final: true }), 320);
    expect(session.transmitInterval).toBe(800);
  });

  test('quicker sending begins at once', () => {
    const session = settled();
    session.handle({ kind: 'parametersChanged', parameters: { ...parameters, minimumTransmitMilliseconds: 100 } }, 10);
    expect(session.transmitInterval).toBe(100);
  });

  test('quicker receiving shortens the detection time only with F; slower receiving lengthens it at once', () => {
    const session = settled();
    expect(session.detectionTime).toBe(1000);
    session.handle({ kind: 'parametersChanged', parameters: { ...parameters, minimumReceiveMilliseconds: 150 } }, 10);
    expect(session.detectionTime).toBe(1000);
    session.handle(received('up', { final: true }), 20);
    expect(session.detectionTime).toBe(750);
    session.handle({ kind: 'parametersChanged', parameters: { ...parameters, minimumReceiveMilliseconds: 400 } }, 30);
    expect(session.detectionTime).toBe(2000);
  });

  test('a change during a poll sequence is polled for again: the first F may answer the older question', () => {
    const session = settled();
    session.handle({ kind: 'parametersChanged', parameters: { ...parameters, minimumTransmitMilliseconds: 500 } }, 10);
    session.handle({ kind: 'parametersChanged', parameters: { ...parameters, minimumTransmitMilliseconds: 900 } }, 11);
    session.handle(received('up', { final: true }), 20);
    expect(session.transmitInterval).toBe(300);
    session.handle(received('up', { final: true }), 30);
    expect(session.transmitInterval).toBe(900);
  });

  test('timers of a session that is not up change without one', () => {
    const session = sessionIn('init');
    session.handle({ kind: 'parametersChanged', parameters: { ...parameters, minimumTransmitMilliseconds: 2000 } }, 10);
    expect(session.transmitInterval).toBe(2000);
    expect(periodic(session, 2000).every(({ packet }) => !packet.poll)).toBe(true);
  });
});
