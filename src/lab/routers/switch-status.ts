/** What a switch's own daemon tells of its sessions and routes. */

/** A BGP session as the switch's own daemon tells it. */
export interface SwitchSession {
  /** The daemon's name for it. */
  readonly neighbor: string;
  readonly address: string;
  readonly established: boolean;
  /** The daemon's word: `Established`, `Active`. */
  readonly state: string;
}

/** A BGP path in the switch's table. */
export interface SwitchRoute {
  readonly prefix: string;
  readonly best: boolean;
  /** `65000 65002 64512` */
  readonly asPath: string;
  readonly nextHop: string;
}
