/** Names and values in two columns, some marked. */
import type { ReactNode } from "react";

export type Fact = readonly [name: string, value: ReactNode, mark?: string | undefined];

export function Facts({ facts }: { facts: readonly Fact[] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value, mark]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {value}
            {mark !== undefined && (
              <>
                {" "}
                <span className="state vehicle-stale">{mark}</span>
              </>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}
