/** What becomes of a resource on this node, in Kubernetes' form: shown by `show status`, written to `.status.conditions` later. */
export interface Condition {
  readonly object: {
    readonly kind: 'BGPPeer' | 'BGPConfiguration' | 'IPPool' | 'Node';
    readonly name: string;
  };
  readonly type: 'Accepted';
  readonly status: boolean;
  /** One word for programs: `Conflict`, `OwnAddress`. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
}

type Kind = Condition['object']['kind'];

export function accepted(kind: Kind, name: string, message: string): Condition {
  return { object: { kind, name }, type: 'Accepted', status: true, reason: 'Accepted', message };
}

export function refused(kind: Kind, name: string, reason: string, message: string): Condition {
  return { object: { kind, name }, type: 'Accepted', status: false, reason, message };
}
