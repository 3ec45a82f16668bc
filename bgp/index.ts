/** The speaker's door: what `src/` imports from here (with ip.ts, a leaf), and the library `godwit/bgp` (docs/library.md). */

export type * from './settings.ts';
export type * from './status.ts';
export type * from './filter/filter.ts';
export type * from './driver.ts';
export type { ConfigureResult, PeerAction, SpeakerEvent, SpeakerOptions } from './speaker-types.ts';
export type { CreateSpeakerOptions, NeighborConfiguration, SpeakerConfiguration } from './create-speaker.ts';
export { createSpeaker, toSpeakerSettings } from './create-speaker.ts';
export { Speaker } from './speaker.ts';
export type { BestPathCounts } from './rib/best-path-counts.ts';
export type { BestPathReader, RibTotals, RouteQuery } from './rib/rib-types.ts';
export { systemClock, TcpDriver } from './io/tcp-driver.ts';
