/** The plan that is being made: what is asked for, the shape it is laid over, and what it would come to. */
import { useCallback, useMemo, useState } from "react";
import type { Plan, Shape } from "../api/types";
import { PATTERNS } from "./patterns";
import { FIRST_DRAFT, type PlanDraft } from "./planDraft";

export interface Planning {
  draft: PlanDraft;
  shape: Shape | null;
  drawing: boolean;
  preview: Plan | null;
  change: (part: Partial<PlanDraft>) => void;
  draw: (drawing: boolean) => void;
  /** `done` is false while more places are to be drawn. */
  put: (shape: Shape | null, done: boolean) => void;
  previewed: (plan: Plan | null) => void;
}

export function usePlanning(): Planning {
  const [draft, setDraft] = useState<PlanDraft>(FIRST_DRAFT);
  const [shape, setShape] = useState<Shape | null>(null);
  const [drawing, draw] = useState(false);
  const [preview, previewed] = useState<Plan | null>(null);

  const change = useCallback((part: Partial<PlanDraft>) => {
    setDraft((old) => ({ ...old, ...part }));
    previewed(null);
    if (part.kind === undefined) return;
    const wanted = PATTERNS[part.kind].shape;
    setShape((old) => (old?.type === wanted ? old : null));
    draw(false);
  }, []);
  const put = useCallback((next: Shape | null, done: boolean) => {
    setShape(next);
    previewed(null);
    if (done) draw(false);
  }, []);
  return useMemo(
    () => ({ draft, shape, drawing, preview, change, draw, put, previewed }),
    [draft, shape, drawing, preview, change, put],
  );
}
