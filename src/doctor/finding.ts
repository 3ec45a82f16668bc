/** What doctor finds: one line each, with what to do about it. */

export type Level = 'ok' | 'warning' | 'problem' | 'notChecked';

export interface Finding {
  readonly level: Level;
  /** `session tor`, `kernel`, `firewall`: the place. */
  readonly subject: string;
  readonly text: string;
  /** What to do. */
  readonly remedy?: string;
}

export const ok = (subject: string, text: string): Finding => ({ level: 'ok', subject, text });

export const warning = (subject: string, text: string, remedy: string): Finding => ({
  level: 'warning',
  subject,
  text,
  remedy,
});

export const problem = (subject: string, text: string, remedy: string): Finding => ({
  level: 'problem',
  subject,
  text,
  remedy,
});

export const notChecked = (subject: string, reason: string): Finding => ({
  level: 'notChecked',
  subject,
  text: `not checked: ${reason}`,
});
