/** Small inline pictures, the same as on the map. */
import { kindColour, kindGlyph, vehicleColour, vehicleGlyph } from "../map/palette";

export function KindIcon({ kind, size = 18 }: { kind: string; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <circle cx="12" cy="12" r="11.5" fill={kindColour(kind)} />
      <path
        d={kindGlyph(kind)}
        transform="translate(2.4 2.4) scale(.8)"
        fill="none"
        stroke="#0c1217"
        strokeWidth="2.2"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}

export function VehicleIcon({ order, heading = 0, size = 18 }: { order: number; heading?: number; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={vehicleGlyph} fill={vehicleColour(order)} transform={`rotate(${heading} 12 12)`} />
    </svg>
  );
}

/** Four corners: all of it. */
export function WholeIcon({ size = 16 }: { size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5" fill="none" stroke="currentColor" strokeWidth="2.4" />
    </svg>
  );
}
