/** The speaker's door: the only file that `src/` imports from here (and ip.ts, a leaf). */

export type * from './settings.ts';
export type * from './status.ts';
export type * from './filter/filter.ts';
export type { Clock, Driver, SignatureDrops } from './driver.ts';
export type { ConfigureResult, PeerAction, SpeakerEvent, SpeakerOptions } from './speaker-types.ts';
export { Speaker } from './speaker.ts';
export type { BestPathReader, RibTotals, RouteQuery } from './rib/rib-types.ts';
export { systemClock, TcpDriver } from './io/tcp-driver.ts';
