import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeMessage, keepaliveMessage, MessageStream } from '../../../bgp/wire/message.ts';
import { ProtocolError } from '../../../bgp/wire/protocol-error.ts';
import { fromHex, messageHex, toHex } from '../kit/hex.ts';

const marker = 'ff'.repeat(16);

function readAll(stream: MessageStream): string[] {
  const found: string[] = [];
  while (stream.next()) found.push(`${stream.type} ${toHex(stream.body)}`);
  return found;
}

function errorOf(hex: string): { code: number; subcode: number; data: string } {
  const stream = new MessageStream();
  stream.push(fromHex(hex));
  try {
    while (stream.next());
  } catch (error) {
    if (error instanceof ProtocolError) return { code: error.code, subcode: error.subcode, data: toHex(error.data) };
    throw error;
  }
  throw new Error('no error');
}

test('RFC 4271 §4.4: a KEEPALIVE is the header alone', () => {
  expect(toHex(keepaliveMessage)).toBe(`${marker}001304`);
});

test('a message that lies whole in a chunk is a view of the chunk, not a copy', () => {
  const chunk = fromHex(messageHex(2, '00000000') + messageHex(4, ''));
  const stream = new MessageStream();
  stream.push(chunk);
  expect(stream.next()).toBe(true);
  expect(stream.body.buffer).toBe(chunk.buffer);
  expect(toHex(stream.body)).toBe('00000000');
});

test.each([
  ['after a whole message', 23],
  ['with the beginning of a message', 23 + 20],
  ['with less than a header', 23 + 3],
])('a chunk that was read to its end is held no more: %s', (_, cut) => {
  const bytes = fromHex(messageHex(2, '00000000') + messageHex(2, '00000000'));
  const stream = new MessageStream();
  for (const chunk of [bytes.slice(0, cut), bytes.slice(cut)]) {
    stream.push(chunk);
    expect(stream.next()).toBe(true);
    while (stream.next());
    expect(stream.body.buffer.byteLength).toBe(0);
  }
});

test('however the stream is cut into chunks, the messages are the same', () => {
  const messages = [
    messageHex(2, '00000000'),
    messageHex(4, ''),
    messageHex(2, '0001180a0000'),
    messageHex(5, '00010001'),
  ];
  const bytes = fromHex(messages.join(''));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: bytes.length })), (cuts) => {
      const stream = new MessageStream();
      const ends = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const found = ends.slice(1).flatMap((end, i) => {
        stream.push(bytes.slice(ends[i], end));
        return readAll(stream);
      });
      expect(found).toEqual(['2 00000000', '4 ', '2 0001180a0000', '5 00010001']);
    }),
  );
});

describe('RFC 4271 §6.1: header errors', () => {
  test('a marker that is not all ones: 1/1', () => {
    expect(errorOf(`00${marker.slice(2)}001304`)).toEqual({ code: 1, subcode: 1, data: '' });
  });

  test.each([
    ['shorter than a header', `${marker}001204`, '0012'],
    ['longer than 4096', `${marker}100102`, '1001'],
    ['an OPEN of less than 29', `${marker}001c01${'00'.repeat(9)}`, '001c'],
    ['an UPDATE of less than 23', `${marker}001602000000`, '0016'],
    ['a NOTIFICATION of less than 21', `${marker}00140306`, '0014'],
    ['a KEEPALIVE of more than 19', `${marker}00140400`, '0014'],
    ['a ROUTE-REFRESH that does not fit into a NOTIFICATION', `${marker}0fec05`, '0fec'],
  ])('a bad length (%s): 1/2 with the length as data', (_, hex, data) => {
    expect(errorOf(hex)).toEqual({ code: 1, subcode: 2, data });
  });

  test('an unknown type: 1/3 with the type as data', () => {
    expect(errorOf(`${marker}001309`)).toEqual({ code: 1, subcode: 3, data: '09' });
  });

  test('the length is judged before the body has come', () => {
    expect(errorOf(`${marker}ffff02`)).toEqual({ code: 1, subcode: 2, data: 'ffff' });
  });
});

test('RFC 8654 §4: an UPDATE may have 65535 bytes once it was negotiated, an OPEN may not', () => {
  const stream = new MessageStream();
  stream.allowExtendedMessages();
  stream.push(encodeMessage(2, new Uint8Array(65516)));
  expect(stream.next()).toBe(true);
  expect(stream.body.length).toBe(65516);
  stream.push(encodeMessage(1, new Uint8Array(5000)));
  expect(() => stream.next()).toThrow(ProtocolError);
});

test('any bytes give messages or a ProtocolError, nothing else', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 80 }).map((tail) => Uint8Array.from([...fromHex(marker), 0, ...tail])),
  );
  fc.assert(
    fc.property(fc.array(anything, { maxLength: 4 }), (chunks) => {
      const stream = new MessageStream();
      try {
        for (const chunk of chunks) {
          stream.push(chunk);
          while (stream.next()) expect(stream.body.length).toBeLessThanOrEqual(4077);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: 2000 },
  );
});
