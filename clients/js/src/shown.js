// Which messages this browser has shown, shared by pages and the service worker (IndexedDB), so that one that comes by
// both ways is shown once; and how it has subscribed. A plain script that works in both: sets `self.tidingsShown`.
(() => {
  const KEEP_MS = 8 * 86_400_000;
  const MAX_KEPT = 2_000;
  /** @type {Promise<IDBDatabase> | null} */
  let opened = null;

  function open() {
    opened ??= new Promise((resolve, reject) => {
      const request = indexedDB.open("tidings", 2);
      request.onupgradeneeded = ({ oldVersion }) => {
        if (oldVersion < 1) request.result.createObjectStore("shown", { keyPath: "id" }).createIndex("at", "at");
        request.result.createObjectStore("settings");
      };
      request.onblocked = () => {
        opened = null;
        reject(new Error("an older page holds the database"));
      };
      request.onsuccess = () => {
        // Another version of the page wants the database: let it go, and open it anew when next asked.
        request.result.onversionchange = () => {
          request.result.close();
          opened = null;
        };
        resolve(request.result);
      };
      request.onerror = () => {
        opened = null;
        reject(request.error);
      };
    });
    return opened;
  }

  /** @template T @param {string} name @param {(store: IDBObjectStore, done: (value: T) => void) => void} work @returns {Promise<T>} */
  async function within(name, work) {
    const database = await open();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(name, "readwrite");
      /** @type {any} */ let value;
      work(transaction.objectStore(name), (result) => (value = result));
      transaction.oncomplete = () => resolve(value);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  }

  /** Forgets what is old, and the oldest of too many. @param {IDBObjectStore} store */
  function forgetOld(store) {
    store.count().onsuccess = ({ target }) => {
      let surplus = /** @type {any} */ (target).result - MAX_KEPT;
      store.index("at").openCursor().onsuccess = (event) => {
        const cursor = /** @type {any} */ (event.target).result;
        if (!cursor || (surplus <= 0 && cursor.value.at > Date.now() - KEEP_MS)) return;
        cursor.delete();
        surplus -= 1;
        cursor.continue();
      };
    };
  }

  /**
   * True for the first who asks about a message: that one shows it. Of two who ask at once one is first, since
   * transactions on a store take turns. @param {string} id
   */
  function claim(id) {
    return within("shown", (store, done) => {
      store.get(id).onsuccess = ({ target }) => {
        done(!(/** @type {any} */ (target).result));
        if (/** @type {any} */ (target).result) return;
        store.put({ id, at: Date.now() });
        forgetOld(store);
      };
    });
  }

  /** Takes a claim back: showing failed. @param {string} id */
  const release = (id) => within("shown", (store, done) => (store.delete(id), done(undefined)));

  /** @param {string} name @returns {Promise<any>} */
  const recall = (name) =>
    within("settings", (store, done) => {
      store.get(name).onsuccess = ({ target }) => done(/** @type {any} */ (target).result);
    });

  /** Null forgets it. @param {string} name @param {unknown} value */
  const remember = (name, value) =>
    within("settings", (store, done) => {
      if (value === null) store.delete(name);
      else store.put(value, name);
      done(undefined);
    });

  /** @type {any} */ (self).tidingsShown = { claim, release, recall, remember };
})();
