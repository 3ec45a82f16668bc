/**
 * Events (core/v1) about objects: what happened, how often, since when.
 * Holds: one Event an object and reason, whose count grows, for as long as it goes on; at most one write a minute about an
 * object and 20 a minute in all; what cannot be written is written later, with the last message and the whole count.
 */

import type { KubeClient } from './client.ts';
import { timeText, type KubeClock } from './clock.ts';
import { KubeError } from './errors.ts';
import { PacedWriter } from './paced-writer.ts';
import { create, mergePatch, objectPath } from './writes.ts';

export interface EventObject {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent: of the cluster. */
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
}

export interface RecordedEvent {
  readonly about: EventObject;
  readonly type: 'Normal' | 'Warning';
  /** One word in capitals: `SessionDown`. */
  readonly reason: string;
  readonly message: string;
}

export interface EventRecorderOptions {
  readonly client: KubeClient;
  readonly clock: KubeClock;
  /** The node whose agent tells. */
  readonly host: string;
  /** Milliseconds over which the agents of a cluster spread what befalls all of them. */
  spread?(): number;
  onRefused(key: string, error: KubeError): void;
  /** 0 <= x < 1 */
  random?(): number;
}

/** Milliseconds. */
const objectInterval = 60_000;
/** After so long without a repetition it is another event. */
const longestSeries = 600_000;
const longestMessage = 1024;
/** Series that are remembered at the least. */
const keptSeries = 256;

interface Series {
  name: string;
  created: boolean;
  readonly first: number;
  last: number;
  count: number;
  message: string;
}

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #writer: PacedWriter;
  readonly #series = new Map<string, Series>();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    const { clock, random, onRefused } = options;
    this.#writer = new PacedWriter({ clock, random, onRefused, perSecond: 20 / 60, burst: 20 });
  }

  /** Returns at once. */
  record(event: RecordedEvent): void {
    const { clock, spread, random = Math.random } = this.#options;
    const { about, reason, message } = event;
    const pace = `${about.kind} ${about.namespace ?? ''}/${about.name}`;
    const key = `${pace} ${reason}`;
    const now = clock.epoch();
    const running = this.#series.get(key);
    const series: Series =
      running !== undefined && now - running.last < longestSeries
        ? running
        : { name: this.#freshName(about), created: false, first: now, last: now, count: 0, message };
    series.last = now;
    series.count++;
    series.message = message.slice(0, longestMessage);
    this.#series.set(key, series);
    this.#forgetOld(now);
    this.#writer.put(key, {
      pace,
      interval: objectInterval,
      delay: (spread?.() ?? 0) * random(),
      send: (signal) => this.#write(event, series, signal),
    });
  }

  stop(): void {
    this.#writer.stop();
  }

  async #write(event: RecordedEvent, series: Series, signal: AbortSignal): Promise<void> {
    const { client } = this.#options;
    // Events about what has no namespace are in this one.
    const namespace = event.about.namespace ?? 'default';
    const collection = `/api/v1/namespaces/${namespace}/events`;
    if (series.created) {
      const { count, message, last } = series;
      const patch = { count, message, lastTimestamp: timeText(last) };
      try {
        await mergePatch(client, objectPath(collection, series.name), patch, signal);
        return;
      } catch (error) {
        if (!(error instanceof KubeError) || error.kind !== 'notFound') throw error;
        // Servers forget events after an hour.
        series.name = this.#freshName(event.about);
      }
    }
    // An answer may be lost: whether it is there is seen at the next attempt.
    series.created = true;
    await create(client, collection, this.#manifest(event, series, namespace), signal);
  }

  #manifest({ about, type, reason }: RecordedEvent, series: Series, namespace: string) {
    const { host } = this.#options;
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: series.name, namespace },
      involvedObject: about,
      type,
      reason,
      message: series.message,
      source: { component: 'godwit', host },
      reportingComponent: 'godwit.dev/agent',
      reportingInstance: host,
      firstTimestamp: timeText(series.first),
      lastTimestamp: timeText(series.last),
      count: series.count,
    };
  }

  /** Unlike any other agent's. */
  #freshName({ name }: EventObject): string {
    const { clock, random = Math.random } = this.#options;
    const moment = Math.floor(clock.epoch()).toString(16);
    const chance = Math.floor(random() * 2 ** 32).toString(16);
    return `${name.slice(0, 220)}.${moment}${chance}`;
  }

  #forgetOld(now: number): void {
    if (this.#series.size <= keptSeries) return;
    for (const [key, { last }] of this.#series) if (now - last >= longestSeries) this.#series.delete(key);
  }
}
