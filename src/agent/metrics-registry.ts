/**
 * The metrics table in Prometheus' exposition format, by prom-client; loaded only where metrics are asked for.
 * Holds: a scrape never blocks the event loop for longer than one metric takes; two scrapes at once are one.
 */

import type { Histogram, Registry } from 'prom-client';
import {
  collectedMetrics,
  histogramMetrics,
  type CollectedMetric,
  type HistogramKey,
  type Snapshot,
} from './metrics.ts';

export class MetricsRegistry {
  readonly #registry: Registry;
  readonly #histograms: Readonly<Record<HistogramKey, Histogram>>;
  readonly #snapshot: () => Snapshot | undefined;
  #scraped: Snapshot | undefined;
  #scraping: Promise<string> | undefined;

  /** @param snapshot undefined: the agent is not running yet, and only its process can be measured. */
  static async create(snapshot: () => Snapshot | undefined): Promise<MetricsRegistry> {
    return new MetricsRegistry(await import('prom-client'), snapshot);
  }

  private constructor(client: typeof import('prom-client'), snapshot: () => Snapshot | undefined) {
    this.#snapshot = snapshot;
    this.#registry = new client.Registry();
    const registers = [this.#registry];
    for (const metric of collectedMetrics) {
      const Metric = metric.type === 'counter' ? client.Counter : client.Gauge;
      const made = new Metric({ name: metric.name, help: metric.help, labelNames: metric.labels, registers });
      // Read from the snapshot: thousands of peers would be a hash and a copy each in the metric's own store.
      const get = async () => ({ ...(await Metric.prototype.get.call(made)), values: this.#collect(metric) });
      Object.assign(made, { get });
    }
    const histogram = (key: HistogramKey) => {
      const { name, help, buckets } = histogramMetrics[key];
      return new client.Histogram({ name, help, buckets: [...buckets], registers });
    };
    this.#histograms = {
      routeProgramming: histogram('routeProgramming'),
      policyProgramming: histogram('policyProgramming'),
    };
    client.collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  observe(key: HistogramKey, milliseconds: number): void {
    // A clock that was set back.
    this.#histograms[key].observe(Math.max(0, milliseconds) / 1000);
  }

  scrape(): Promise<string> {
    this.#scraping ??= this.#scrape().finally(() => (this.#scraping = undefined));
    return this.#scraping;
  }

  async #scrape(): Promise<string> {
    this.#scraped = this.#snapshot();
    let text = '';
    for (const { name } of this.#registry.getMetricsAsArray()) {
      text += `${await this.#registry.getSingleMetricAsString(name)}\n`;
      await turn();
    }
    this.#scraped = undefined;
    return text;
  }

  #collect(metric: CollectedMetric) {
    return this.#scraped === undefined ? [] : [...metric.collect(this.#scraped)];
  }
}

/** Keepalives and routes have their turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
