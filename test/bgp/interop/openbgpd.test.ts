import { OpenBgpdRouter } from '../kit/routers/openbgpd.ts';
import { tellRouterStories } from './router-stories.ts';

/** Unsigned: 7.7 on Linux gives its listening socket no key. */
tellRouterStories((lab) => new OpenBgpdRouter(lab.theirs.name), { signed: false });
