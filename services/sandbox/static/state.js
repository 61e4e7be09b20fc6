// What the sandbox knows: /api/state once, then /events. One value, which is replaced and never changed.

import { useEffect, useReducer } from "./html.js";

const TYPING_MS = 5000; // Telegram shows typing for as long, unless a message comes first
const NOTHING = { isLoaded: false, isOnline: true, bots: [], people: [], group: null, rooms: {}, typing: [] };

// All fields of /api/state, but `messages`, which are in `rooms` by their rooms' keys; and
//   typing    [{room, bot}]
//   latest    the newest message that came as an event
//   answered  the newest answer to a pressed button
//   explained the newest message of which a bot told why it spoke or kept quiet: {room, id}
export function useSandbox() {
  const [state, dispatch] = useReducer(reduce, NOTHING);
  useEffect(() => follow(dispatch), []);
  return state;
}

const reducers = {
  loaded(state, { messages, ...rest }) {
    const rooms = {};
    for (const message of messages) (rooms[message.room] ??= []).push(message);
    return { ...state, ...rest, rooms, isLoaded: true, isOnline: true };
  },
  lost: (state) => ({ ...state, isOnline: false }),
  message(state, message) {
    const { room, id, from } = message;
    const before = state.rooms[room] ?? [];
    const isNew = !before.some((one) => one.id === id);
    const after = isNew ? [...before, message] : before.map((one) => (one.id === id ? message : one));
    const author = state.bots.find((bot) => bot.id === from);
    const typing = without(state.typing, room, author?.name);
    return { ...state, rooms: { ...state.rooms, [room]: after }, typing, latest: isNew ? message : state.latest };
  },
  deleted(state, { room, id }) {
    const left = (state.rooms[room] ?? []).filter((message) => message.id !== id);
    return { ...state, rooms: { ...state.rooms, [room]: left } };
  },
  action(state, { room, bot, until }) {
    return { ...state, typing: [...without(state.typing, room, bot), { room, bot, until }] };
  },
  expired: (state, { now }) => ({ ...state, typing: state.typing.filter((one) => one.until > now) }),
  answered: (state, event) => ({ ...state, answered: event }),
  explained: (state, event) => ({ ...state, explained: event }),
};

function reduce(state, event) {
  return Object.hasOwn(reducers, event.type) ? reducers[event.type](state, event) : state;
}

const without = (typing, room, bot) => typing.filter((one) => one.room !== room || one.bot !== bot);

// Follow the sandbox until the returned function is called.
function follow(dispatch) {
  let fetching = 0;
  let missed = []; // events that came while the state was being fetched
  async function refresh() {
    fetching += 1;
    try {
      dispatch({ ...(await (await fetch("/api/state")).json()), type: "loaded" });
    } catch {
      dispatch({ type: "lost" }); // the stream of events breaks too, and refreshes when it is back
    }
    fetching -= 1;
    if (!fetching) missed.splice(0).forEach(take);
  }
  function take(event) {
    if (event.type === "people" || event.type === "commands") refresh();
    else if (fetching) missed.push(event);
    else if (event.type === "action") show(event);
    else dispatch(event);
  }
  function show(action) {
    dispatch({ ...action, until: Date.now() + TYPING_MS });
    setTimeout(() => dispatch({ type: "expired", now: Date.now() }), TYPING_MS + 1);
  }
  const events = new EventSource("/events");
  events.onopen = refresh; // after a break too: nothing said meanwhile is missed
  events.onerror = () => dispatch({ type: "lost" });
  events.onmessage = (event) => take(JSON.parse(event.data));
  return () => events.close();
}

// Post what a person does. `refusal` is null where the sandbox accepted it, and empty where it is not there.
export async function post(path, body) {
  const headers = { "content-type": "application/json" };
  try {
    const reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await reply.json();
    return { answer, refusal: reply.ok ? null : answer.description };
  } catch {
    return { refusal: "" };
  }
}
