/** Commands to one vehicle, and what its autopilot answered. */
import { useState } from "react";
import { api } from "../api/client";
import type { Command, CommandResult, Vehicle } from "../api/types";
import { useWords } from "../i18n";
import { useMay } from "../live/context";
import { vehicleId } from "../live/store";
import { Action, Confirm } from "../parts/controls";
import { errorWords, useNotices } from "../parts/notices";

const COMMANDS: readonly Command[] = ["hold", "resume", "rtl", "land"];

interface Answer {
  command: Command;
  state: string;
  text: string;
}

export function VehicleCommands({ vehicle }: { vehicle: Vehicle }) {
  const { t, term } = useWords();
  const { fail } = useNotices();
  const may = useMay("operator");
  const [sending, setSending] = useState<Command | null>(null);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [asking, setAsking] = useState(false);
  const registered = vehicle.properties.registered !== false;
  const blocked = !may ? t("why.operator") : registered ? null : t("why.registered");

  const send = async (command: Command): Promise<void> => {
    setSending(command);
    setAnswer(null);
    try {
      const result: CommandResult = await api.command(vehicleId(vehicle), { command });
      setAnswer({ command, state: result.state, text: result.text ?? "" });
    } catch (error) {
      const { title, detail } = errorWords(error, t);
      setAnswer({ command, state: "failed", text: detail || title });
      fail(error);
    } finally {
      setSending(null);
    }
  };

  return (
    <div className="commands">
      <div className="row">
        {COMMANDS.map((command) => (
          <Action
            key={command}
            look={command === "land" ? "danger" : "normal"}
            blocked={blocked}
            busy={sending !== null}
            title={t(`command.${command}.what` as "command.hold.what")}
            onClick={() => (command === "land" ? setAsking(true) : void send(command))}
          >
            {term("command", command)}
          </Action>
        ))}
      </div>
      {sending !== null && <p className="answer">{t("command.waiting", { command: term("command", sending) })}</p>}
      {answer !== null && (
        <p className={`answer ${answer.state}`} role="status">
          <b>
            {term("command", answer.command)}: {term("command_state", answer.state)}
          </b>{" "}
          {answer.text}
        </p>
      )}
      {asking && (
        <Confirm
          title={t("command.land.ask", { name: vehicle.properties.name })}
          text={t("command.land.warning")}
          action={term("command", "land")}
          danger
          onConfirm={() => void send("land")}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}
