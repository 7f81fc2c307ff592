/** Hands the live store, the person and their rights to the components. */
import { createContext, useContext, useSyncExternalStore } from "react";
import type { Person, Role } from "../api/types";
import type { LiveState, LiveStore } from "./store";

export interface Console {
  store: LiveStore;
  person: Person;
}

export const ConsoleContext = createContext<Console | null>(null);

export function useConsole(): Console {
  const value = useContext(ConsoleContext);
  if (value === null) throw new Error("used outside of the console");
  return value;
}

export function useLive(): LiveState {
  const { store } = useConsole();
  return useSyncExternalStore(store.subscribe, store.read);
}

/** Whether the person holds one of the roles. */
export function useMay(...roles: Role[]): boolean {
  const { person } = useConsole();
  return roles.some((role) => person.roles.includes(role));
}
