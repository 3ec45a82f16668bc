import { expect, test } from 'vitest';
import type { Collision } from '../../../bgp/session/collision.ts';
import { resolveCollision } from '../../../bgp/session/collision.ts';
import type { SessionState } from '../../../bgp/status.ts';

const low = Uint8Array.of(10, 0, 0, 1);
const high = Uint8Array.of(10, 0, 0, 2);

function collision(changes: Partial<Collision>, other: Partial<Collision['other']> = {}): Collision {
  return {
    direction: 'incoming',
    other: {
      state: 'openConfirm',
      openFor: 10,
      gracefulRestart: false,
      establishedBefore: -Infinity,
      restarting: false,
      ...other,
    },
    hasWaited: false,
    restarting: false,
    localIdentifier: low,
    remoteIdentifier: high,
    localAs: 65000,
    remoteAs: 65000,
    ...changes,
  };
}

test.each<['incoming' | 'outgoing', Uint8Array, Uint8Array, string]>([
  ['incoming', low, high, 'keepThis'],
  ['incoming', high, low, 'keepOther'],
  ['outgoing', low, high, 'keepOther'],
  ['outgoing', high, low, 'keepThis'],
])('RFC 4271 §6.8: the connection of the higher identifier stays (%s, %j, %j)', (direction, local, remote, verdict) => {
  const given = { direction, localIdentifier: local, remoteIdentifier: remote };
  expect(resolveCollision(collision(given))).toBe(verdict);
  expect(resolveCollision(collision(given, { state: 'openSent' }))).toBe(verdict);
});

test('identifiers are compared as unsigned numbers', () => {
  const given = { localIdentifier: Uint8Array.of(200, 0, 0, 1), remoteIdentifier: Uint8Array.of(10, 0, 0, 1) };
  expect(resolveCollision(collision(given))).toBe('keepOther');
});

test('RFC 6286 §2.3: equal identifiers, the connection of the higher AS number stays', () => {
  const equal = { localIdentifier: low, remoteIdentifier: low };
  expect(resolveCollision(collision({ ...equal, remoteAs: 65001 }))).toBe('keepThis');
  expect(resolveCollision(collision({ ...equal, remoteAs: 64999 }))).toBe('keepOther');
});

test('both sides keep the same of two connections', () => {
  for (const direction of ['incoming', 'outgoing'] as const) {
    const opposite = direction === 'incoming' ? 'outgoing' : 'incoming';
    const ours = resolveCollision(collision({ direction, localIdentifier: low, remoteIdentifier: high }));
    const theirs = resolveCollision(collision({ direction: opposite, localIdentifier: high, remoteIdentifier: low }));
    expect(ours).toBe(theirs);
  }
});

test('a connection on which the peer has long been silent gives way', () => {
  const dead = { state: 'openSent', openFor: 6000 } as const;
  expect(resolveCollision(collision({ localIdentifier: high, remoteIdentifier: low }, dead))).toBe('keepThis');
});

test.each<SessionState>(['idle', 'connect', 'active'])('an attempt without a connection gives way (%s)', (state) => {
  expect(resolveCollision(collision({ localIdentifier: high, remoteIdentifier: low }, { state }))).toBe('keepThis');
});

const longEstablished = { state: 'established', establishedBefore: 60_000 } as const;

test('RFC 4271 §6.8: without graceful restart an established session stays', () => {
  expect(resolveCollision(collision({}, longEstablished))).toBe('keepOther');
});

test('RFC 4724 §4.2: with graceful restart the new connection takes the place of the established session', () => {
  expect(resolveCollision(collision({}, { ...longEstablished, gracefulRestart: true }))).toBe('replaceOther');
});

test('a connection that was on its way when the other was established is a collision, not a restart: the established one stays', () => {
  const other = { state: 'established', gracefulRestart: true, establishedBefore: 10 } as const;
  for (const restarting of [false, true]) {
    expect(resolveCollision(collision({ restarting }, { ...other, restarting }))).toBe('wait');
    expect(resolveCollision(collision({ restarting, hasWaited: true }, { ...other, restarting }))).toBe('keepOther');
  }
});

test('RFC 4724 §4.2: the R bit, where the other session was made without, is a restart however young that is', () => {
  const other = { state: 'established', gracefulRestart: true, establishedBefore: 10 } as const;
  expect(resolveCollision(collision({ restarting: true }, other))).toBe('replaceOther');
});
