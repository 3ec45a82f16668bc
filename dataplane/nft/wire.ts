/**
 * nf_tables' numbers, as far as they are used here: include/uapi/linux/netfilter/nf_tables.h, and libnftnl's udata.h for what
 * only nft reads (comments, byte orders).
 * Holds: every number of more than a byte is big-endian on the wire, but for what nft's own records hold (host order).
 */

export const nfTablesSubsystem = 10;
/** NFPROTO_INET: both families in one table. */
export const familyInet = 1;

/** NFT_MSG_*, with the subsystem in the upper byte. */
export const NftMessage = {
  newTable: 0xa00,
  getTable: 0xa01,
  deleteTable: 0xa02,
  newChain: 0xa03,
  getChain: 0xa04,
  deleteChain: 0xa05,
  newRule: 0xa06,
  getRule: 0xa07,
  deleteRule: 0xa08,
  newSet: 0xa09,
  getSet: 0xa0a,
  deleteSet: 0xa0b,
  newElements: 0xa0c,
  getElements: 0xa0d,
  deleteElements: 0xa0e,
} as const;

export const TableAttribute = { name: 1, flags: 2 } as const;

export const ChainAttribute = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const;
export const HookAttribute = { number: 1, priority: 2 } as const;
/** NF_INET_* */
export const hookNumbers = { prerouting: 0, forward: 2, postrouting: 4 } as const;

export const RuleAttribute = { table: 1, chain: 2, expressions: 4, userData: 7 } as const;
export const ExpressionAttribute = { name: 1, data: 2 } as const;
/** The type of every entry in a list. */
export const listEntry = 1;

export const SetAttribute = {
  table: 1,
  name: 2,
  flags: 3,
  keyType: 4,
  keyLength: 5,
  dataType: 6,
  dataLength: 7,
  id: 10,
  userData: 13,
  expression: 17,
} as const;
export const SetFlag = { interval: 0x4, map: 0x8 } as const;
/** NFT_DATA_VERDICT */
export const verdictType = 0xffffff00;

export const ElementListAttribute = { table: 1, set: 2, elements: 3 } as const;
export const ElementAttribute = { key: 1, data: 2, flags: 3, userData: 6, expression: 7, expressions: 11 } as const;
/** The element is where an interval ends: the first key that is not in it. */
export const intervalEndFlag = 1;

export const DataAttribute = { value: 1, verdict: 2 } as const;
export const VerdictAttribute = { code: 1, chain: 2 } as const;
/** NF_DROP, NF_ACCEPT, NFT_JUMP, NFT_GOTO. */
export const verdictCodes = { drop: 0, accept: 1, jump: 0xfffffffd, goto: 0xfffffffc } as const;

export const CounterAttribute = { bytes: 1, packets: 2 } as const;

/** nft's own records: one byte of type, one of length, the value. */
export const RuleUserData = { comment: 0 } as const;
export const ElementUserData = { comment: 0, flags: 1 } as const;
/** nft's word for a range whose end is the largest key: there is no element where it ends. */
export const openIntervalFlag = 1;
export const SetUserData = { keyByteOrder: 0, dataByteOrder: 1, keyTypeOf: 3, dataInterval: 6, comment: 7 } as const;
/** Without it nft shows a key's bytes in reverse. */
export const bigEndianOrder = 2;
/** nft's number of a concatenation among its expressions, in the record of how a set's key was written. */
export const concatenationExpression = 13;
