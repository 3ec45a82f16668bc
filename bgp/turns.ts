/**
 * When the speaker gets a turn: soon after input or output has come, and when a deadline has.
 * Holds: one alarm for everything; it only ever asks for a turn, so that input that is there already is read before a timer
 * is believed to have expired.
 */

import type { Clock, Driver } from './driver.ts';
import type { Sleeper } from './session/wake-queue.ts';
import { WakeQueue } from './session/wake-queue.ts';

export interface TurnTasks<T> {
  /** The item's time has come; it must ask again. */
  wake(item: T, now: number): void;
  /** A deadline besides those of the items. */
  deadline(): number;
  /** @returns whether there is more to do at once. */
  work(): boolean;
}

export class Turns<T extends Sleeper> {
  private readonly driver: Driver;
  private readonly clock: Clock;
  private readonly tasks: TurnTasks<T>;
  private readonly sleepers = new WakeQueue<T>();
  private requested = false;
  private alarmAt = Infinity;
  private stopped = false;

  constructor(driver: Driver, clock: Clock, tasks: TurnTasks<T>) {
    this.driver = driver;
    this.clock = clock;
    this.tasks = tasks;
  }

  /** There is something to do. Costs nothing where a turn is to come already. */
  request(): void {
    if (this.requested) return;
    this.requested = true;
    this.driver.requestTurn(() => this.turn());
  }

  /** The item wants to be woken then, at the latest. */
  wakeAt(item: T, time: number): void {
    this.sleepers.wake(item, time);
    this.setAlarm();
  }

  forget(item: T): void {
    this.sleepers.forget(item);
  }

  stop(): void {
    this.stopped = true;
    this.driver.setAlarm(Infinity, () => {});
  }

  private turn(): void {
    this.requested = false;
    if (this.stopped) return;
    const now = this.clock.now();
    for (;;) {
      const item = this.sleepers.take(now);
      if (item === undefined) break;
      this.tasks.wake(item, now);
    }
    if (this.tasks.work()) this.request();
    this.setAlarm();
  }

  private setAlarm(): void {
    const at = Math.min(this.sleepers.next(), this.tasks.deadline());
    if (at === this.alarmAt || this.stopped) return;
    this.alarmAt = at;
    const ring = () => {
      this.alarmAt = Infinity;
      this.request();
    };
    this.driver.setAlarm(Math.max(0, at - this.clock.now()), ring);
  }
}
