/** The dataplane's door: the only file that `src/` imports from here. */

export type * from './types.ts';
export type { Clock } from './clock.ts';
export {
  emptyRuleset,
  nftComment,
  plainElement,
  type KeyType,
  type NftChain,
  type NftElement,
  type NftField,
  type NftMatch,
  type NftRule,
  type NftSet,
  type Ruleset,
} from './nft/ruleset.ts';
export { NftTable, type NftApplyResult, type NftTableOptions } from './nft/table.ts';
export { NftError, nftProcess, type NftRunner } from './nft/run.ts';
export type { NftCount, NftCounters } from './nft/counters.ts';
