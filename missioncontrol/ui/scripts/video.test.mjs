// What live video decides: which boxes belong to a picture, how long to hold it back, what its drawn clock says.
import assert from "node:assert/strict";
import test from "node:test";
import { runnerImport } from "vite";

const of = async (name) => (await runnerImport(new URL(`../src/${name}.ts`, import.meta.url).pathname)).module;
const { Pairing, MOST_AGE_MS, strengthOf, ticksBetween } = await of("video/pairing");
const { Hold, MOST_HOLD_MS } = await of("video/hold");
const { ageOf, readCells } = await of("video/drawnClock");
const { arrowOf, pixelsOf } = await of("map/movement");

const FRAME = 9000; // ticks of a tenth of a second
const found = (rtp, utc_s = null) => ({ rtp, utc_s, detections: [], state: "live" });

test("boxes of the very picture win, else those of the nearest one before it, never those of a later one", () => {
  const pairing = new Pairing();
  for (const n of [0, 3, 6]) pairing.put(found(n * FRAME));
  assert.deepEqual([pairing.at(3 * FRAME).age_ms, pairing.at(3 * FRAME).header.rtp], [0, 3 * FRAME]);
  assert.deepEqual([pairing.at(5 * FRAME).age_ms, pairing.at(5 * FRAME).header.rtp], [200, 3 * FRAME]);
  assert.equal(pairing.at(-1), null);
});

test("boxes that are too old are not drawn", () => {
  const pairing = new Pairing();
  pairing.put(found(0));
  assert.equal(pairing.at(90 * MOST_AGE_MS).age_ms, MOST_AGE_MS);
  assert.equal(pairing.at(90 * MOST_AGE_MS + 90), null);
  assert.deepEqual([strengthOf(0), strengthOf(MOST_AGE_MS), strengthOf(9 * MOST_AGE_MS)], [1, 0.25, 0.25]);
});

test("timestamps that come round are in order", () => {
  const pairing = new Pairing();
  const last = 2 ** 32 - FRAME;
  pairing.put(found(last, 1000));
  assert.equal(pairing.at(0).age_ms, 100);
  assert.equal(pairing.at(last - FRAME), null);
  assert.equal(ticksBetween(last, 5), FRAME + 5);
  assert.ok(Math.abs(pairing.utcAt(0) - 1000.1) < 1e-9);
  assert.ok(Math.abs(pairing.utcAt(last - FRAME) - 999.9) < 1e-9);
});

test("what has no timestamp in this video, or no moment, is left out; what is old is forgotten", () => {
  const pairing = new Pairing();
  pairing.put({ utc_s: 5, detections: [], state: "live" });
  pairing.put(found(null, 5));
  assert.equal(pairing.at(0), null);
  assert.equal(pairing.utcAt(0), null);
  for (let n = 0; n < 200; n++) pairing.put(found(n));
  assert.equal(pairing.at(100), null);
  assert.equal(pairing.at(199).age_ms, 0);
});

const held = (hold, delay_ms, count, from = 0) => {
  for (let n = from; n < from + count; n++) {
    hold.picture(n, n * 100);
    hold.detections(n, n * 100 + delay_ms);
  }
  return hold.ms;
};

test("video is held back for as long as detections take, whichever comes first", () => {
  assert.equal(held(new Hold(), 250, 3), 0);
  assert.equal(held(new Hold(), 250, 10), 280);
  const early = new Hold();
  for (let n = 0; n < 10; n++) {
    early.detections(n, n * 100);
    early.picture(n, n * 100 + 20);
  }
  assert.equal(early.ms, 0);
});

test("a few slow detections do not hold video back, small changes neither, and too slow ones never", () => {
  const hold = new Hold();
  held(hold, 200, 20);
  held(hold, 900, 1, 20);
  assert.equal(hold.ms, 230);
  held(hold, 220, 40, 21);
  assert.equal(hold.ms, 230);
  held(hold, 400, 40, 61);
  assert.equal(hold.ms, 430);
  assert.equal(held(hold, MOST_HOLD_MS + 500, 40, 101), 0);
});

const cells = (bits) => [...bits].map((bit) => (bit === "1" ? 230 : 20));

test("the drawn clock is read, and nothing else is", () => {
  assert.equal(readCells(cells("10000000000000000000000000101101")), 0);
  assert.equal(readCells(cells("10000000000000000000000001101100")), 1);
  assert.equal(readCells(cells("10011110000101101001000110011001")), 5270651);
  assert.equal(readCells(cells("10100000000000000000000000001101")), 16777215);
  const good = cells("10011110000101101001000110011001");
  for (let at = 0; at < good.length; at++) {
    const spoilt = good.with(at, 250 - good[at]);
    assert.equal(readCells(spoilt), null, `cell ${at}`);
  }
  assert.equal(readCells(good.map(() => 128)), null);
  assert.equal(readCells(good.slice(1)), null);
});

test("ages are counted over the moment when the clock comes round", () => {
  const round = 2 ** 24;
  assert.equal(ageOf(1000, 5 * round + 1250), 250);
  assert.equal(ageOf(round - 100, 5 * round + 150), 250);
  assert.equal(ageOf(1250, 5 * round + 1000), -250);
});

test("a thing that goes north-east under a camera that looks down goes up and right in the picture", () => {
  const perLat = 111_195;
  const perLon = perLat * Math.cos((43.2 * Math.PI) / 180);
  const at = (east, north) => [76.9 + east / perLon, 43.2 + north / perLat];
  const corners = [[-32, 18], [32, 18], [32, -18], [-32, -18]];
  const edge = corners.flatMap(([x, y], k) => {
    const [right, down] = corners[(k + 1) % 4];
    return [0, 1, 2, 3].map((step) => at(x + ((right - x) * step) / 4, y + ((down - y) * step) / 4));
  });
  const header = { ...found(0), width: 640, height: 360, footprint: [...edge, edge[0]] };
  const toPixels = pixelsOf(header);
  assert.deepEqual(toPixels(at(0, 0)).map(Math.round), [320, 180]);
  assert.deepEqual(toPixels(at(-32, 18)).map(Math.round), [0, 0]);
  const motion = { speed_m_s: 2 * Math.SQRT2, heading_deg: 45, speed_sigma_m_s: 1, heading_sigma_deg: 9 };
  assert.deepEqual(arrowOf(at(0, 0), motion, toPixels).map(Math.round), [100, -100]);
  assert.equal(pixelsOf({ ...header, footprint: edge.slice(0, 9) }), null);
  assert.equal(pixelsOf({ ...header, footprint: Array(17).fill(at(0, 0)) }), null);
});
