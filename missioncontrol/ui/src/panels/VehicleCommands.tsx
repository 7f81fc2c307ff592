/** Commands to one vehicle, and what its autopilot answered. */
import { useState } from "react";
import type { Command, CommandRequest, CommandResult, Vehicle } from "../api/types";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { useMay } from "../live/context";
import { Action, Confirm } from "../parts/controls";
import { errorWords, useNotices } from "../parts/notices";
import { sendTo, VehicleOrders } from "./VehicleOrders";

const COMMANDS: readonly Command[] = ["hold", "resume", "rtl", "land"];

interface Answer {
  command: string;
  state: string;
  text: string;
}

export function VehicleCommands({ vehicle }: { vehicle: Vehicle }) {
  const { t, term } = useWords();
  const { fail } = useNotices();
  const may = useMay("operator");
  const [sending, setSending] = useState<string | null>(null);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [asking, setAsking] = useState(false);
  const registered = vehicle.properties.registered !== false;
  const blocked = !may ? t("why.operator") : registered ? null : t("why.registered");

  const send = async (order: CommandRequest): Promise<CommandResult | null> => {
    const { command } = order;
    setSending(command);
    setAnswer(null);
    try {
      const result = await sendTo(vehicle, order);
      setAnswer({ command, state: result.state, text: result.text ?? "" });
      return result;
    } catch (error) {
      const { title, detail } = errorWords(error, t);
      setAnswer({ command, state: "failed", text: detail || title });
      fail(error);
      return null;
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
            onClick={() => (command === "land" ? setAsking(true) : void send({ command }))}
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
          <Said text={answer.text} />
        </p>
      )}
      <VehicleOrders vehicle={vehicle} blocked={blocked} send={send} />
      {asking && (
        <Confirm
          title={t("command.land.ask", { name: vehicle.properties.name })}
          text={t("command.land.warning")}
          action={term("command", "land")}
          danger
          onConfirm={() => void send({ command: "land" })}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}
